#include "croton/graph/input_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "croton/graph/error.h"

namespace croton {

InputFile::Descriptor::~Descriptor() {
  if (number >= 0) close(number);
}

// Without O_NONBLOCK opening a pipe would wait for its writer before it can be refused.
InputFile::InputFile(const std::string& path)
    : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {
  struct stat status{};
  if (descriptor_.number < 0 || fstat(descriptor_.number, &status) != 0) fail(std::strerror(errno));
  if (!S_ISREG(status.st_mode))
    fail(S_ISDIR(status.st_mode) ? "it is a directory" : "it is not a regular file");
  size_ = static_cast<std::size_t>(status.st_size);
}

void InputFile::read(std::size_t offset, void* data, std::size_t bytes) const {
  auto* at = static_cast<char*>(data);
  while (bytes > 0) {
    const ssize_t got = pread(descriptor_.number, at, bytes, static_cast<off_t>(offset));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(std::strerror(errno));
    if (got == 0) fail("it became shorter while it was read");
    at += got;
    offset += static_cast<std::size_t>(got);
    bytes -= static_cast<std::size_t>(got);
  }
}

void InputFile::fail(std::string_view why) const {
  throw FileError(fmt::format("cannot read {}: {}", path_, why));
}

}  // namespace croton
