#pragma once

#include "croton/graph/npy_header.h"
#include "croton/graph/tensor.h"

namespace croton {

/// Memory for the elements of a .npy file as they lie there, and the tensor that they become.
class NpyElements {
 public:
  explicit NpyElements(const NpyHeader& header);
  /// header.data_bytes bytes, to be filled.
  void* data() const { return tensor_.raw_data(); }
  /// The filled elements, in this machine's byte order and in C order.
  Tensor finish();

 private:
  NpyHeader header_;
  Tensor tensor_;
};

}  // namespace croton
