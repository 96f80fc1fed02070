#pragma once

#include <cstddef>
#include <string>

#include "croton/graph/export.h"

namespace croton {

/// A file that appears under its name only when it is complete: it is written under another name in the same
/// folder and renamed by commit(). Destroyed without commit(), it leaves nothing behind. All errors are
/// FileErrors that name the file and the system's reason.
class CROTON_API OutputFile {
 public:
  explicit OutputFile(std::string path);
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;
  ~OutputFile();

  void write(const void* data, std::size_t bytes);
  void commit();

 private:
  [[noreturn]] void fail(int error) const;
  std::string path_;
  std::string temporary_;
  int descriptor_ = -1;
};

}  // namespace croton
