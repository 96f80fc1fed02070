#pragma once

#include <cstddef>
#include <string>

#include "croton/graph/export.h"

namespace croton {

/// A file that appears under its name only when it is complete: it is written under another name in the same
/// folder and renamed by commit(). Destroyed without commit(), it leaves nothing behind. A link stays one:
/// what it leads to is replaced. What is there and no regular file (/dev/null, a pipe) is written as it is.
/// All errors are FileErrors that name the file and the system's reason.
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
  std::string goal_;       // what gets the name: path_ without links
  std::string temporary_;  // none where there is nothing to rename
  int descriptor_ = -1;
};

}  // namespace croton
