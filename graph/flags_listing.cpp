#include <fmt/format.h>

#include "croton/graph/flags.h"

namespace croton {

std::string flags_markdown() {
  std::string text = "| Flag | Values | Default | Meaning |\n|---|---|---|---|\n";
  for (const FlagInfo& flag : flag_infos())
    text += fmt::format("| `{}` | {} | {} | {} |\n", flag.name, flag.values,
                        flag.default_value.empty() ? "" : fmt::format("`{}`", flag.default_value), flag.doc);
  return text;
}

std::string flags_listing(const Config& config) {
  std::string text;
  for (const FlagInfo& flag : flag_infos()) {
    text += fmt::format("{}={}  ({})\n    {}\n    Takes {}.\n", flag.name, config.get(flag.name),
                        config.source(flag.name), flag.doc, flag.values);
  }
  return text;
}

}  // namespace croton
