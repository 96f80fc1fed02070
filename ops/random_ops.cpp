#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/nnet_rows.h"
#include "croton/ops/philox.h"
#include "croton/ops/random.h"
#include "croton/ops/static_value.h"

namespace croton {

namespace {

// A stream at the place where a draw begins; see philox.h.
struct Position {
  std::uint64_t seed, stream, block;

  PhiloxBlock at(std::int64_t block_of_draw) const {
    return philox_block(seed, stream, block + static_cast<std::uint64_t>(block_of_draw));
  }
};

std::uint64_t pair(const PhiloxBlock& block, std::size_t j) {
  return block.words[2 * j] | std::uint64_t{block.words[2 * j + 1]} << 32;
}

class RandomOp : public Op {
 public:
  using Op::Op;

  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    if (inputs.empty()) throw TypeError(fmt::format("{} takes a state and extents, got no input", name()));
    const auto dtype = attributes.get<DType>("dtype");
    require_dtype(dtype);
    const TensorType& state = inputs[0].type();
    if (!compatible(state, {DType::uint64, {3}})) {
      throw TypeError(fmt::format("{}: the state must be uint64[3] (seed, stream, position), got {}", name(),
                                  to_string(state)));
    }
    TensorType draws{dtype, {}};
    for (const Variable& extent : inputs.subspan(1)) {
      if (extent.rank() != 0 || extent.dtype() != DType::int64) {
        throw TypeError(
            fmt::format("{}: an extent must be an int64 scalar, got {}", name(), to_string(extent.type())));
      }
      const auto known = static_integer(extent);
      if (known) require_extent(*known);
      draws.shape.push_back(known.value_or(unknown));
    }
    return {draws, {DType::uint64, {3}}};
  }

  std::vector<Tensor> evaluate(const Node& node, std::span<const Tensor> inputs) const override {
    if (inputs[0].size() != 3) {
      throw ShapeError(fmt::format("{}: the state has {} entries instead of 3", name(), inputs[0].size()));
    }
    Shape shape;
    for (const Tensor& extent : inputs.subspan(1)) {
      shape.push_back(extent.item<std::int64_t>());
      require_extent(shape.back());
    }
    Tensor draws = Tensor::empty(shape, node.type().dtype);
    Tensor state = inputs[0].copy();
    auto* const words = state.data<std::uint64_t>();
    draw(draws, {words[0], words[1], words[2]});
    const std::int64_t block = draws_per_block(node.type().dtype);
    words[2] += static_cast<std::uint64_t>((draws.size() + block - 1) / block);
    return {draws, state};
  }

  std::vector<InputGradient> grad(const Node& node, std::span<const Variable>) const override {
    return std::vector<InputGradient>(node.input_count(), InputGradient::disconnected());
  }
  bool connected(const Node&, std::size_t, std::size_t) const override { return false; }
  std::vector<std::size_t> shape_inputs(const Node& node) const override {
    std::vector<std::size_t> result;
    for (std::size_t i = 1; i < node.input_count(); ++i) result.push_back(i);
    return result;
  }
  std::vector<std::pair<int, int>> inplace_candidates(const Node&) const override { return {{1, 0}}; }
  std::string label(const Node& node) const override {
    return fmt::format("{}{{dtype='{}'}}", title(), name_of(node.type().dtype));
  }

 protected:
  virtual const char* title() const = 0;
  virtual void require_dtype(DType dtype) const {
    if (!is_floating(dtype))
      throw TypeError(fmt::format("{} draws floating numbers, not {}", name(), name_of(dtype)));
  }
  virtual void draw(const Tensor& out, const Position& from) const = 0;

 private:
  void require_extent(std::int64_t extent) const {
    if (extent < 0)
      throw ShapeError(fmt::format("{}: an extent is {}; it must not be negative", name(), extent));
  }
};

class RandomBits final : public RandomOp {
 public:
  RandomBits() : RandomOp("random_bits") {}

 protected:
  const char* title() const override { return "RandomBits"; }
  void require_dtype(DType dtype) const override {
    if (dtype != DType::uint32 && dtype != DType::uint64) {
      throw TypeError(fmt::format("random_bits draws uint32 or uint64, not {}", name_of(dtype)));
    }
  }
  void draw(const Tensor& out, const Position& from) const override {
    for (std::int64_t i = 0; i < out.size(); ++i) {
      if (out.dtype() == DType::uint32) {
        out.data<std::uint32_t>()[i] = from.at(i / 4).words[static_cast<std::size_t>(i % 4)];
      } else {
        out.data<std::uint64_t>()[i] = pair(from.at(i / 2), static_cast<std::size_t>(i % 2));
      }
    }
  }
};

class RandomUniform final : public RandomOp {
 public:
  RandomUniform() : RandomOp("random_uniform") {}

 protected:
  const char* title() const override { return "RandomUniform"; }
  void draw(const Tensor& out, const Position& from) const override {
    visit_floating(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (std::int64_t i = 0; i < out.size(); ++i) {
        if constexpr (std::is_same_v<T, double>) {
          const std::uint64_t d = pair(from.at(i / 2), static_cast<std::size_t>(i % 2));
          out.data<T>()[i] = static_cast<double>(d >> 11) * 0x1p-53;
        } else {
          // As many bits as the dtype's significand has, so that nothing rounds up to 1.
          constexpr int bits = std::is_same_v<T, float> ? 24 : std::is_same_v<T, float16> ? 11 : 8;
          const std::uint32_t w = from.at(i / 4).words[static_cast<std::size_t>(i % 4)];
          out.data<T>()[i] =
              T(static_cast<float>(w >> (32 - bits)) * (1.0f / static_cast<float>(1u << bits)));
        }
      }
    });
  }
};

class RandomNormal final : public RandomOp {
 public:
  RandomNormal() : RandomOp("random_normal") {}

 protected:
  const char* title() const override { return "RandomNormal"; }
  void draw(const Tensor& out, const Position& from) const override {
    visit_floating(out.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      for (std::int64_t i = 0; i < out.size(); ++i) {
        if constexpr (std::is_same_v<T, double>) {
          const PhiloxBlock block = from.at(i / 2);
          const double u = static_cast<double>(pair(block, 0) >> 11) * 0x1p-53 + 0x1p-54;
          const double v = static_cast<double>(pair(block, 1) >> 11) * 0x1p-53;
          out.data<T>()[i] = box_muller(u, v, i % 2 == 0);
        } else {
          const PhiloxBlock block = from.at(i / 4);
          const auto j = static_cast<std::size_t>(i % 4 / 2);
          const float u = static_cast<float>(block.words[2 * j]) * 0x1p-32f + 0x1p-33f;
          const float v = static_cast<float>(block.words[2 * j + 1] >> 8) * 0x1p-24f;
          out.data<T>()[i] = T(box_muller(u, v, i % 2 == 0));
        }
      }
    });
  }

 private:
  // Box and Muller, "A note on the generation of random normal deviates", 1958.
  template <class A>
  static A box_muller(A u, A v, bool even) {
    const A radius = std::sqrt(A(-2) * std::log(u)), angle = A(2) * std::numbers::pi_v<A> * v;
    return radius * (even ? std::cos(angle) : std::sin(angle));
  }
};

}  // namespace

std::int64_t draws_per_block(DType dtype) { return size_of(dtype) == 8 ? 2 : 4; }

const Op& random_bits_op() {
  static const RandomBits op;
  return op;
}
const Op& random_uniform_op() {
  static const RandomUniform op;
  return op;
}
const Op& random_normal_op() {
  static const RandomNormal op;
  return op;
}
[[maybe_unused]] const Op* const random_ops_registered_at_start[] = {&random_bits_op(), &random_uniform_op(),
                                                                     &random_normal_op()};

}  // namespace croton
