#include <array>

#include "croton/codegen/lower_context.h"
#include "croton/ops/philox.h"
#include "croton/ops/random.h"

namespace croton {

namespace {

ScalarValue word_constant(KernelBuilder& b, std::uint32_t value) {
  return b.integer_constant(static_cast<std::int64_t>(value), DType::uint32);
}

ScalarValue low_word(KernelBuilder& b, ScalarValue wide) { return b.cast(wide, DType::uint32); }
ScalarValue high_word(KernelBuilder& b, ScalarValue wide) {
  return b.cast(b.emit(ScalarOp::shift_right, wide, b.integer_constant(32, DType::uint64)), DType::uint32);
}

/// philox_4x32_10 of philox.h on values.
std::array<ScalarValue, 4> philox(KernelBuilder& b, std::array<ScalarValue, 4> counter,
                                  std::array<ScalarValue, 2> key) {
  const auto product = [&](std::uint32_t multiplier, ScalarValue word) {
    return b.emit(ScalarOp::mul, b.cast(word, DType::uint64),
                  b.integer_constant(static_cast<std::int64_t>(multiplier), DType::uint64));
  };
  const auto mix = [&](ScalarValue x, ScalarValue y, ScalarValue z) {
    return b.emit(ScalarOp::bit_xor, b.emit(ScalarOp::bit_xor, x, y), z);
  };
  for (int round = 0; round < 10; ++round) {
    if (round > 0) {
      key[0] = b.emit(ScalarOp::add, key[0], word_constant(b, philox_key_step_0));
      key[1] = b.emit(ScalarOp::add, key[1], word_constant(b, philox_key_step_1));
    }
    const ScalarValue p0 = product(philox_multiplier_0, counter[0]);
    const ScalarValue p1 = product(philox_multiplier_1, counter[2]);
    counter = {mix(high_word(b, p1), counter[1], key[0]), low_word(b, p1),
               mix(high_word(b, p0), counter[3], key[1]), low_word(b, p0)};
  }
  return counter;
}

/// Two words as one of 64 bits.
ScalarValue double_word(KernelBuilder& b, ScalarValue low, ScalarValue high) {
  return b.emit(
      ScalarOp::bit_or, b.cast(low, DType::uint64),
      b.emit(ScalarOp::shift_left, b.cast(high, DType::uint64), b.integer_constant(32, DType::uint64)));
}

/// The upper bits of a word as a number in [0, 1).
ScalarValue fraction(KernelBuilder& b, ScalarValue word, int dropped, double scale, DType dtype) {
  const ScalarValue bits = b.emit(ScalarOp::shift_right, word, b.integer_constant(dropped, word.dtype));
  return b.emit(ScalarOp::mul, b.cast(bits, dtype), b.constant(scale, dtype));
}

std::vector<ScalarValue> uniform(KernelBuilder& b, const std::array<ScalarValue, 4>& w, DType dtype) {
  std::vector<ScalarValue> draws;
  if (dtype == DType::float64) {
    for (std::size_t j = 0; j < 4; j += 2) {
      draws.push_back(fraction(b, double_word(b, w[j], w[j + 1]), 11, 0x1p-53, dtype));
    }
    return draws;
  }
  const int dropped = dtype == DType::float16 ? 21 : dtype == DType::bfloat16 ? 24 : 8;
  const double scale = dtype == DType::float16 ? 0x1p-11 : dtype == DType::bfloat16 ? 0x1p-8 : 0x1p-24;
  for (const ScalarValue& word : w) draws.push_back(fraction(b, word, dropped, scale, DType::float32));
  return draws;
}

/// Box and Muller's transform: two uniform draws give two normal ones.
void box_muller(KernelBuilder& b, ScalarValue u, ScalarValue v, std::vector<ScalarValue>& draws) {
  const DType t = u.dtype;
  constexpr double two_pi = 6.283185307179586476925286766559;
  const ScalarValue radius =
      b.emit(ScalarOp::sqrt, b.emit(ScalarOp::mul, b.constant(-2, t), b.emit(ScalarOp::log, u)));
  const ScalarValue angle = b.emit(ScalarOp::mul, b.constant(two_pi, t), v);
  draws.push_back(b.emit(ScalarOp::mul, radius, b.emit(ScalarOp::cos, angle)));
  draws.push_back(b.emit(ScalarOp::mul, radius, b.emit(ScalarOp::sin, angle)));
}

std::vector<ScalarValue> normal(KernelBuilder& b, const std::array<ScalarValue, 4>& w, DType dtype) {
  std::vector<ScalarValue> draws;
  const auto offset = [&](ScalarValue x, double half) {
    return b.emit(ScalarOp::add, x, b.constant(half, x.dtype));
  };
  if (dtype == DType::float64) {
    const ScalarValue u = offset(fraction(b, double_word(b, w[0], w[1]), 11, 0x1p-53, dtype), 0x1p-54);
    box_muller(b, u, fraction(b, double_word(b, w[2], w[3]), 11, 0x1p-53, dtype), draws);
    return draws;
  }
  for (std::size_t j = 0; j < 4; j += 2) {
    const ScalarValue u = offset(
        b.emit(ScalarOp::mul, b.cast(w[j], DType::float32), b.constant(0x1p-32, DType::float32)), 0x1p-33);
    box_muller(b, u, fraction(b, w[j + 1], 8, 0x1p-24, DType::float32), draws);
  }
  return draws;
}

}  // namespace

/// random_bits, random_uniform, random_normal: a block of Philox a lane.
std::optional<NodeCode> lower_random(const LowerContext& context) {
  const Layout& out = context.outputs[0];
  const std::int64_t per_block = draws_per_block(out.dtype);
  const std::int64_t count = out.shape.count();
  const std::int64_t blocks = (count + per_block - 1) / per_block;
  NodeKernel kernel(context, context.node.op().name());
  KernelBuilder& b = kernel.builder();
  const Buffer state = kernel.input(0);
  const Buffer draws = kernel.output(0);
  const Buffer next = kernel.output(1);
  const auto word_of_state = [&](int i) { return b.load(state, Index(i * context.inputs[0].strides[0])); };
  const bool is_bits = &context.node.op() == &random_bits_op();
  const bool is_uniform = &context.node.op() == &random_uniform_op();
  b.parallel(
      "block", blocks,
      [&](Index block) {
        const ScalarValue seed = word_of_state(0);
        const ScalarValue stream = word_of_state(1);
        const ScalarValue number = b.emit(ScalarOp::add, word_of_state(2), b.value_of(block, DType::uint64));
        const std::array<ScalarValue, 4> words =
            philox(b, {low_word(b, number), high_word(b, number), low_word(b, stream), high_word(b, stream)},
                   {low_word(b, seed), high_word(b, seed)});
        std::vector<ScalarValue> values;
        if (!is_bits) {
          values = is_uniform ? uniform(b, words, out.dtype) : normal(b, words, out.dtype);
        } else if (out.dtype == DType::uint64) {
          values = {double_word(b, words[0], words[1]), double_word(b, words[2], words[3])};
        } else {
          values.assign(words.begin(), words.end());
        }
        for (std::int64_t i = 0; i < per_block; ++i) {
          const Index at = block * Index(per_block) + Index(i);
          const ScalarValue value = values[static_cast<std::size_t>(i)];
          if (count % per_block == 0) {
            b.store(draws, at, value);
          } else {
            b.store(draws, at, value, b.compare(ScalarOp::lt, at, count));
          }
        }
      },
      vectorize);
  b.once([&] {
    for (int i = 0; i < 3; ++i) {
      const ScalarValue step = b.integer_constant(i == 2 ? blocks : 0, DType::uint64);
      b.store(next, i, b.emit(ScalarOp::add, word_of_state(i), step));
    }
  });
  return kernel.finish();
}

}  // namespace croton
