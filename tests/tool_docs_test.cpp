// Every command that docs/tools.md shows is run, and what it shows must be what is printed.

#include <catch2/catch.hpp>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

#include "places.h"
#include "tool_run.h"

using namespace croton_tool;

namespace {

struct Shown {
  std::string command;
  std::vector<std::string> lines;  // "…" stands for any number of lines
};

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

/// The commands in the ```console blocks of a page.
std::vector<Shown> commands_in(const std::string& page) {
  std::vector<Shown> commands;
  bool is_inside = false;
  for (const std::string& line : lines_of(page)) {
    if (line.starts_with("```")) {
      is_inside = line == "```console";
    } else if (is_inside && line.starts_with("$ ")) {
      commands.push_back({line.substr(2), {}});
    } else if (is_inside) {
      REQUIRE_FALSE(commands.empty());
      commands.back().lines.push_back(line);
    }
  }
  return commands;
}

/// Times, sizes, line numbers and process ids differ from run to run, and with them the width of columns.
std::string without_numbers(const std::string& line) {
  static const std::regex bar("#+ +"), number(R"(-?[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?)"), blanks(" +"),
      end(" $");
  std::string text = line;
  for (const auto& [what, with] : {std::pair(&bar, ""), {&number, "0"}, {&blanks, " "}, {&end, ""}})
    text = std::regex_replace(text, *what, with);
  return text;
}

/// The first shown line that is not printed, in this order; empty where all are.
std::string missing_line(const std::vector<std::string>& shown, const std::vector<std::string>& printed) {
  std::size_t at = 0;
  bool may_skip = false;
  for (const std::string& line : shown) {
    if (line == "…") {
      may_skip = true;
      continue;
    }
    const std::string wanted = without_numbers(line);
    if (may_skip) {
      while (at < printed.size() && without_numbers(printed[at]) != wanted) ++at;
    }
    if (at >= printed.size() || without_numbers(printed[at]) != wanted) return line;
    ++at;
    may_skip = false;
  }
  return may_skip || at == printed.size() ? std::string() : "nothing behind: " + printed[at];
}

}  // namespace

TEST_CASE("the commands of docs/tools.md print what it shows", "[tools][docs][lenet][cpu]") {
  const std::vector<Shown> commands = commands_in(read(croton::test::source_file("docs/tools.md")));
  REQUIRE(commands.size() > 10);
  for (const Shown& shown : commands) {
    // What threads need for themselves decides in which step a profile finds the most memory in use.
    const bool is_profile = shown.command.starts_with("croton profile");
    const std::string flags = is_profile ? "export CROTON_FLAGS=threads=2; " : "unset CROTON_FLAGS; ";
    const Result result = run_line(flags + shown.command);
    INFO("$ " << shown.command << "\n" << result.out << result.err);
    CHECK(result.code <= 2);  // 1: it found something; 2: what is shown is an error
    std::vector<std::string> printed = lines_of(result.out);
    // What goes wrong is shown as a terminal shows it.
    for (std::string& line : lines_of(result.err)) printed.push_back(std::move(line));
    CHECK(missing_line(shown.lines, printed) == "");
  }
}
