#include "host_code.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

namespace croton::test {

bool has_host_compiler() {
  const bool is_there = std::system(CROTON_CXX_COMPILER " --version > /dev/null 2>&1") == 0;
  if (!is_there) WARN("not tested: " CROTON_CXX_COMPILER " is not installed");
  return is_there;
}

HostCode::HostCode(const std::string& text) {
  namespace files = std::filesystem;
  static std::atomic<int> counter{0};
  const files::path stem =
      files::temp_directory_path() / fmt::format("croton-host-code-{}-{}", getpid(), counter++);
  const std::string source = stem.string() + ".cpp", library = stem.string() + ".so",
                    log = stem.string() + ".log";
  std::ofstream(source) << text;
  const std::string command =
      fmt::format("{} -std=c++17 -O0 -w -shared -fPIC -ffp-contract=off -o {} {} > {} 2>&1",
                  CROTON_CXX_COMPILER, library, source, log);
  const bool is_compiled = std::system(command.c_str()) == 0;
  std::ostringstream messages;
  messages << std::ifstream(log).rdbuf();
  if (is_compiled) library_ = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
  for (const std::string& file : {library, log}) files::remove(file);
  if (library_ == nullptr)
    throw std::runtime_error(fmt::format("{} does not compile:\n{}", source, messages.str().substr(0, 4000)));
  files::remove(source);
}

HostCode::~HostCode() {
  if (library_ != nullptr) ::dlclose(library_);
}

void* HostCode::function(const std::string& name) const { return ::dlsym(library_, name.c_str()); }

}  // namespace croton::test
