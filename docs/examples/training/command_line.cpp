#include "command_line.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdio>

std::optional<int> read_arguments(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return std::nullopt;
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    fmt::print(stderr, "{}: {}\n", app.get_name(), error.what());
    return 2;
  }
}

CLI::Validator at_least(std::int64_t least) {
  return {[least](const std::string& text) -> std::string {
            std::int64_t value = 0;
            const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
            if (error == std::errc() && end == text.data() + text.size() && value >= least) return {};
            return fmt::format("{} is no integer from {} on", text, least);
          },
          "", "at_least"};
}
