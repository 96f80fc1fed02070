#pragma once

#include <filesystem>
#include <string>

/// Running the command `croton` as a user does.
namespace croton_tool {

struct Result {
  int code;
  std::string out, err;
};

/// Runs a line of the shell in a folder of this process, empty at first; our programs are in its PATH.
Result run_line(const std::string& line);
/// Runs the tool there; `arguments` are for the shell.
Result run(const std::string& arguments, const std::string& environment = "");
/// What it prints; exit code 0 and nothing on standard error are checked.
std::string output_of(const std::string& arguments);
/// The complaint about bad input: exit code 2, nothing on standard output.
std::string complaint_of(const std::string& arguments);
/// A file of the folder in which the tool runs.
void write(const std::string& name, const std::string& text);
std::string path(const std::string& name);
std::string read(const std::filesystem::path& path);

}  // namespace croton_tool
