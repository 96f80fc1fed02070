#include "croton/runtime/mode.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <utility>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"

namespace croton {

namespace {

constexpr std::array<std::pair<std::string_view, ModeName>, 6> modes = {{
    {"FAST_RUN", ModeName::FAST_RUN},
    {"FAST_COMPILE", ModeName::FAST_COMPILE},
    {"None", ModeName::None},
    {"DebugMode", ModeName::DebugMode},
    {"NanGuardMode", ModeName::NanGuardMode},
    {"MonitorMode", ModeName::MonitorMode},
}};

ModeName mode_called(std::string_view name) {
  std::array<std::string_view, modes.size()> names;
  for (std::size_t i = 0; i < modes.size(); ++i) {
    if (modes[i].first == name) return modes[i].second;
    names[i] = modes[i].first;
  }
  throw FlagError(fmt::format("no mode is called '{}'{}; there are {}", name, did_you_mean(name, names),
                              fmt::join(names, ", ")));
}

}  // namespace

Mode::Mode(ModeName name) : query_(Query::from_flags(name)) {}

Mode::Mode(std::string_view name) : Mode(mode_called(name)) {}

bool Mode::is_checking() const {
  return name() == ModeName::DebugMode || name() == ModeName::NanGuardMode || name() == ModeName::MonitorMode;
}

std::string_view Mode::text() const {
  return std::ranges::find(modes, name(), &std::pair<std::string_view, ModeName>::second)->first;
}

Mode monitor_mode(NodeCallback before, NodeCallback after) {
  Mode mode(ModeName::MonitorMode);
  mode.monitor_ = std::make_shared<const Monitor>(Monitor{std::move(before), std::move(after)});
  return mode;
}

Mode default_mode() { return Mode(config().mode()); }

}  // namespace croton
