// croton flags: every flag with its value, what set it, and what it means.

#include <fmt/format.h>

#include <memory>

#include <croton/graph/flags.h>

#include "command.h"

namespace {

std::string changed_flags() {
  const croton::Config& config = croton::config();
  std::string text;
  for (const croton::FlagInfo& flag : croton::flag_infos()) {
    if (config.source(flag.name) != "default")
      text += fmt::format("{}={}  ({})\n", flag.name, config.get(flag.name), config.source(flag.name));
  }
  return text;
}

}  // namespace

void add_flags_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("flags", "List the flags, their values and what set them.");
  auto changed = std::make_shared<bool>(false), markdown = std::make_shared<bool>(false);
  CLI::Option* only = command->add_flag("--changed", *changed, "Only those that something set");
  command->add_flag("--markdown", *markdown, "The page of the reference")->excludes(only);
  add_flags_option(*command);
  command->callback([changed, markdown] {
    if (*markdown)
      fmt::print(
          "# Flags\n\nSet them in `~/.crotonrc`, in the environment (`CROTON_FLAGS=floatX=float64,…`), with "
          "`--flags` or in code\n(`config().set(\"floatX\", \"float64\")`); a later one of these wins.\n\n{}",
          croton::flags_markdown());
    else
      fmt::print("{}", *changed ? changed_flags() : croton::flags_listing());
  });
}
