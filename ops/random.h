#pragma once

#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/variable.h"
#include "croton/ops/shape_ops.h"

namespace croton {

// Each takes (state, extents…): the state uint64[3] and int64 scalars; each gives (draws, new state). How a
// state becomes draws is written in ops/philox.h. Attribute `dtype`: that of the draws.

/// Random words: uint32 or uint64.
CROTON_API const Op& random_bits_op();
/// Uniform in [0, 1): floating.
CROTON_API const Op& random_uniform_op();
/// Normal with mean 0 and variance 1: floating.
CROTON_API const Op& random_normal_op();

/// Elements of a draw that one block of Philox serves: 4, or 2 for 64-bit ones.
CROTON_API std::int64_t draws_per_block(DType dtype);

/// Sources of random numbers: each draw has a stream of its own, a shared variable that every function using
/// the draw advances. Equal seeds and the same order of draws give the same numbers on every device.
class CROTON_API RandomStreams {
 public:
  explicit RandomStreams(std::uint64_t seed = 12345) : seed_(seed) {}

  /// In [low, high). floatX unless a dtype is given.
  Variable uniform(const SymbolicShape& size, const Operand& low = 0, const Operand& high = 1,
                   std::optional<DType> dtype = std::nullopt);
  Variable normal(const SymbolicShape& size, const Operand& mean = 0, const Operand& std = 1,
                  std::optional<DType> dtype = std::nullopt);
  /// 1 with probability p, else 0.
  Variable bernoulli(const SymbolicShape& size, const Operand& p = 0.5, DType dtype = DType::int64);
  /// How many of n trials succeed with probability p; n must be 1 (Theano's name for bernoulli).
  Variable binomial(const SymbolicShape& size, std::int64_t n = 1, const Operand& p = 0.5,
                    DType dtype = DType::int64);
  /// Integers in [low, high).
  Variable randint(const SymbolicShape& size, std::int64_t low, std::int64_t high, DType dtype = DType::int64,
                   std::source_location where = std::source_location::current());

  /// Starts every stream again, from another seed.
  void seed(std::uint64_t seed);
  /// The states, one a draw in the order they were made: to save and to restore.
  const std::vector<SharedVariable>& states() const { return states_; }

 private:
  Variable draw(const Op& op, const SymbolicShape& size, DType dtype);
  std::uint64_t seed_;
  std::vector<SharedVariable> states_;
};

}  // namespace croton
