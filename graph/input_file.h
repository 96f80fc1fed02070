#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

/// A regular file open for reading. All errors are FileErrors that name the file and the system's reason.
class CROTON_API InputFile {
 public:
  explicit InputFile(const std::string& path);

  /// In bytes, when the file was opened.
  std::size_t size() const { return size_; }
  /// Reads just so many bytes from `offset` on.
  void read(std::size_t offset, void* data, std::size_t bytes) const;

 private:
  struct Descriptor {
    int number;
    explicit Descriptor(int open_number) : number(open_number) {}
    Descriptor(const Descriptor&) = delete;
    Descriptor& operator=(const Descriptor&) = delete;
    ~Descriptor();
  };
  [[noreturn]] void fail(std::string_view why) const;

  std::string path_;
  Descriptor descriptor_;
  std::size_t size_ = 0;
};

}  // namespace croton
