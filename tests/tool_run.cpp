#include "tool_run.h"

#include <sys/wait.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <fstream>
#include <iterator>

#include "places.h"

using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace croton_tool {

namespace {

/// A folder of this process: others may run the tool at the same time.
class Folder {
 public:
  Folder() : path_(croton::test::writable_folder() / ("test-tool-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_ / "work");
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

const std::filesystem::path& folder() {
  static const Folder folder;
  return folder.path();
}

}  // namespace

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

Result run_line(const std::string& line) {
  const std::string here = (folder() / "work").string(), out = (folder() / "out").string(),
                    err = (folder() / "err").string();
  const std::string programs = croton::test::program("croton").parent_path().string();
  const std::string command = "cd '" + here + "' && export XDG_CACHE_HOME='" + (folder() / "cache").string() +
                              "' PATH='" + programs + "':\"$PATH\" && { " + line + "\n} >'" + out + "' 2>'" +
                              err + "' </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
}

Result run(const std::string& arguments, const std::string& environment) {
  return run_line(environment + " croton " + arguments);
}

std::string output_of(const std::string& arguments) {
  const Result result = run(arguments);
  INFO(arguments << "\n" << result.err);
  CHECK(result.code == 0);
  CHECK(result.err.empty());
  return result.out;
}

std::string complaint_of(const std::string& arguments) {
  const Result result = run(arguments);
  INFO(arguments);
  CHECK(result.code == 2);
  CHECK(result.out.empty());
  CHECK_THAT(result.err, StartsWith("croton: "));
  CHECK_THAT(result.err, !Contains("internal error"));
  return result.err;
}

void write(const std::string& name, const std::string& text) {
  std::ofstream(folder() / "work" / name, std::ios::binary) << text;
}

std::string path(const std::string& name) { return (folder() / "work" / name).string(); }

}  // namespace croton_tool
