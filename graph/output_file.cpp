#include "croton/graph/output_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "croton/graph/error.h"

namespace croton {

OutputFile::OutputFile(std::string path) : path_(std::move(path)), goal_(path_) {
  struct stat there;
  if (stat(path_.c_str(), &there) == 0) {
    if (!S_ISREG(there.st_mode)) {
      descriptor_ = open(path_.c_str(), O_WRONLY | O_CLOEXEC);
      if (descriptor_ < 0) fail(errno);
      return;
    }
    std::error_code unknown;
    const std::filesystem::path without_links = std::filesystem::canonical(path_, unknown);
    if (!unknown) goal_ = without_links.string();
  }
  static std::atomic<unsigned> counter{0};
  do {
    temporary_ = fmt::format("{}.{}.{}.tmp", goal_, getpid(), counter++);
    // Not mkstemp, which would leave the file readable by its owner alone.
    descriptor_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  } while (descriptor_ < 0 && errno == EEXIST);
  if (descriptor_ < 0) fail(errno);
}

OutputFile::~OutputFile() {
  if (descriptor_ >= 0) close(descriptor_);
  if (!temporary_.empty()) unlink(temporary_.c_str());
}

void OutputFile::fail(int error) const {
  throw FileError(fmt::format("cannot write {}: {}", path_, std::strerror(error)));
}

void OutputFile::write(const void* data, std::size_t bytes) {
  const auto* at = static_cast<const char*>(data);
  while (bytes > 0) {
    const ssize_t written = ::write(descriptor_, at, bytes);
    if (written < 0) {
      if (errno == EINTR) continue;
      fail(errno);
    }
    at += written;
    bytes -= static_cast<std::size_t>(written);
  }
}

void OutputFile::commit() {
  // Some file systems tell of a full disk only here.
  if (close(std::exchange(descriptor_, -1)) != 0) fail(errno);
  if (temporary_.empty()) return;
  if (std::rename(temporary_.c_str(), goal_.c_str()) != 0) fail(errno);
  temporary_.clear();
}

}  // namespace croton
