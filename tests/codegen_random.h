#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "croton/codegen/loop_ir.h"

namespace croton::test {

/// Buffers for a kernel, each between pages that trap: an access one element outside ends the test.
class GuardedBuffers {
 public:
  /// With `at_end` a buffer ends where the trapping page begins, else it starts where one ends.
  GuardedBuffers(const Kernel& kernel, bool at_end);
  ~GuardedBuffers();
  GuardedBuffers(const GuardedBuffers&) = delete;
  GuardedBuffers& operator=(const GuardedBuffers&) = delete;

  void* const* pointers() const { return pointers_.data(); }
  template <class T>
  T* as(std::size_t buffer) const {
    return static_cast<T*>(pointers_[buffer]);
  }
  std::size_t bytes(std::size_t buffer) const { return sizes_[buffer]; }

 private:
  struct Mapping {
    void* address;
    std::size_t bytes;
  };
  std::vector<Mapping> mappings_;
  std::vector<void*> pointers_;
  std::vector<std::size_t> sizes_;
};

/// Fills a buffer with numbers of its dtype: small integers, halves, and now and then NaN, infinities, zeros
/// of both signs, extremes.
void fill_random(const BufferInfo& info, void* memory, std::mt19937& random, bool with_specials);

/// Whether the buffers of two runs agree: bit for bit, but any NaN is any NaN.
bool same_contents(const BufferInfo& info, const void* a, const void* b);

/// A kernel of random loops, conditions, accesses and operations over random dtypes and extents (0, 1 and odd
/// ones among them). All its accesses lie in its buffers. Results are the same on every machine, but for
/// products that some machines add in one rounding, which only `with_fma` has.
Kernel random_kernel(std::mt19937& random, bool with_fma);

}  // namespace croton::test
