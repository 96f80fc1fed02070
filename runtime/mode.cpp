#include "croton/runtime/mode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <utility>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"

namespace croton {

namespace {

struct Named {
  std::string_view text;
  ModeName name;
  Checking checking;
};

constexpr std::array<Named, 6> modes = {{
    {"FAST_RUN", ModeName::FAST_RUN, Checking::none},
    {"FAST_COMPILE", ModeName::FAST_COMPILE, Checking::none},
    {"None", ModeName::None, Checking::none},
    {"DebugMode", ModeName::FAST_RUN, Checking::debug},
    {"NanGuardMode", ModeName::FAST_RUN, Checking::nan_guard},
    {"MonitorMode", ModeName::FAST_RUN, Checking::monitor},
}};

const Named& mode_called(std::string_view text) {
  std::array<std::string_view, modes.size()> names;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (modes[i].text == text) return modes[i];
    names[i] = modes[i].text;
  }
  throw FlagError(fmt::format("no mode is called '{}'{}; there are {}", text, did_you_mean(text, names),
                              fmt::join(names, ", ")));
}

}  // namespace

Mode::Mode(ModeName name) : query_(name) {
  const Config& flags = config();
  for (const std::string& tag : flags.optimizer_including()) query_ = query_.including(tag);
  for (const std::string& tag : flags.optimizer_excluding()) query_ = query_.excluding(tag);
  for (const std::string& tag : flags.optimizer_requiring()) query_ = query_.requiring(tag);
}

Mode::Mode(std::string_view name) : Mode(mode_called(name).name) { checking_ = mode_called(name).checking; }

std::string_view Mode::text() const {
  for (const Named& mode : modes) {
    if (mode.name == name() && mode.checking == checking_) return mode.text;
  }
  return "FAST_RUN";
}

Mode monitor_mode(NodeCallback before, NodeCallback after) {
  Mode mode("MonitorMode");
  mode.monitor_ = std::make_shared<const Monitor>(Monitor{std::move(before), std::move(after)});
  return mode;
}

Mode default_mode() { return Mode(config().mode()); }

}  // namespace croton
