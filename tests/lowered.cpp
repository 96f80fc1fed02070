#include "lowered.h"

#include <catch2/catch.hpp>
#include <cstring>
#include <random>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/thread_pool.h"
#include "croton/graph/flags.h"
#include "croton/graph/op.h"
#include "croton/runtime/function.h"

namespace croton::test {

namespace {

Layout layout_of(const Tensor& t) { return {t.dtype(), t.shape(), t.strides()}; }

/// A block with a margin whose bytes must survive.
struct Guarded {
  static constexpr std::size_t margin = 256;
  static constexpr unsigned char mark = 0xa5;
  std::vector<unsigned char> bytes;
  std::size_t size;
  unsigned char* begin;

  explicit Guarded(std::size_t size) : bytes(size + 2 * margin + 64, mark), size(size) {
    const auto at = reinterpret_cast<std::uintptr_t>(bytes.data() + margin);
    begin = bytes.data() + margin + (64 - at % 64) % 64;
  }
  bool intact() const {
    for (const unsigned char* p = bytes.data(); p != bytes.data() + bytes.size(); ++p) {
      if ((p < begin || p >= begin + size) && *p != mark) return false;
    }
    return true;
  }
};

/// On a device the way of a whole function is what there is to test: transfers, generated code, libraries.
std::vector<Tensor> run_on_device(const Node& node, const std::vector<Tensor>& inputs) {
  std::vector<In> arguments;
  std::vector<Tensor> values;
  for (std::size_t i = 0; i < node.input_count(); ++i) {
    if (node.input(i).is_constant()) continue;
    arguments.emplace_back(node.input(i));
    values.push_back(inputs[i]);
  }
  std::vector<Variable> outputs;
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    outputs.emplace_back(Ref<Node>(const_cast<Node*>(&node)), static_cast<std::uint32_t>(i));
  }
  const Function f =
      function(arguments, outputs, {.mode = Mode("FAST_COMPILE"), .on_unused_input = OnUnusedInput::ignore});
  std::vector<Tensor> results;
  try {
    const Outputs got = f.call_all(values);
    for (std::size_t i = 0; i < outputs.size(); ++i) results.push_back(got[i].copy());
  } catch (const IndexError&) {
    return {};  // what generated code raises its fault for
  } catch (const ValueError&) {
    return {};
  }
  return results;
}

}  // namespace

std::vector<Tensor> run_lowered(const Node& node, const std::vector<Tensor>& inputs, int threads) {
  if (config().device() != "cpu") return run_on_device(node, inputs);
  std::vector<Layout> in, out;
  for (const Tensor& t : inputs) in.push_back(layout_of(t));
  for (std::size_t i = 0; i < node.output_count(); ++i) {
    REQUIRE(node.type(i).shape.is_known());
    out.push_back({node.type(i).dtype, node.type(i).shape, contiguous_strides(node.type(i).shape)});
  }
  const std::optional<NodeCode> code = lower(node, in, out, threads);
  if (!code) return {};
  std::vector<Guarded> results, scratch;
  for (const Layout& layout : out) {
    results.emplace_back(static_cast<std::size_t>(layout.shape.count()) * size_of(layout.dtype));
  }
  for (std::int64_t bytes : code->scratch_bytes) {
    scratch.emplace_back(static_cast<std::size_t>(bytes));
    std::memset(scratch.back().begin, 0xff, static_cast<std::size_t>(bytes));  // NaN of every floating dtype
  }
  std::int64_t fault = 0;
  ThreadPool& pool = ThreadPool::instance();
  for (const LoweredKernel& kernel : code->kernels) {
    std::vector<void*> buffers;
    for (const StepBuffer& buffer : kernel.buffers) {
      switch (buffer.kind) {
        case StepBuffer::Kind::input:
          buffers.push_back(inputs[buffer.index].raw_data());
          break;
        case StepBuffer::Kind::output:
          buffers.push_back(results[buffer.index].begin);
          break;
        case StepBuffer::Kind::scratch:
          buffers.push_back(scratch[buffer.index].begin);
          break;
        case StepBuffer::Kind::fault:
          buffers.push_back(&fault);
          break;
      }
    }
    compile(kernel.kernel)->run(pool, buffers.data());
  }
  if (fault != 0) return {};
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < results.size(); ++i) {
    CHECK(results[i].intact());
    Tensor tensor = Tensor::empty(out[i].shape, out[i].dtype);
    std::memcpy(tensor.raw_data(), results[i].begin, results[i].size);
    tensors.push_back(tensor);
  }
  for (const Guarded& block : scratch) CHECK(block.intact());
  return tensors;
}

void check_lowered(const Node& node, const std::vector<Tensor>& inputs, double rtol, double atol) {
  CAPTURE(node.op().label(node));
  for (const Tensor& input : inputs)
    UNSCOPED_INFO("input " << name_of(input.dtype()) << to_string(input.shape()));
  const std::vector<Tensor> expected = node.op().evaluate(node, inputs);
  const std::vector<Tensor> got = run_lowered(node, inputs);
  REQUIRE(got.size() == expected.size());
  for (std::size_t i = 0; i < got.size(); ++i) {
    REQUIRE(got[i].shape() == expected[i].shape());
    REQUIRE(got[i].dtype() == expected[i].dtype());
    const bool close = allclose(got[i], expected[i], rtol, atol, /*equal_nan=*/true);
    if (!close) UNSCOPED_INFO("got\n" << to_string(got[i]) << "\nexpected\n" << to_string(expected[i]));
    CHECK(close);
  }
}

Tensor random_tensor(const Shape& shape, DType dtype, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<double> normal;
  Tensor wide = Tensor::empty(shape, DType::float64);
  for (std::int64_t i = 0; i < wide.size(); ++i) {
    const double value = normal(engine);
    wide.data<double>()[i] = is_floating(dtype) ? value : std::floor(3 * value);
  }
  if (is_unsigned_integer(dtype)) {
    for (std::int64_t i = 0; i < wide.size(); ++i) wide.data<double>()[i] = std::abs(wide.data<double>()[i]);
  }
  return wide.astype(dtype);
}

Tensor laid_out(const Tensor& t, unsigned kind) {
  if (t.rank() == 0 || kind % 4 == 0) return t;
  if (kind % 4 == 1) {
    Shape axes;
    for (std::int64_t axis = t.rank(); axis-- > 0;) axes.push_back(axis);
    return t.transpose(axes).copy().transpose(axes);
  }
  Shape wide = t.shape();
  const std::size_t axis = kind % 4 == 2 ? wide.size() - 1 : 0;
  wide[axis] *= 2;
  Tensor view = Tensor::zeros(wide, t.dtype()).slice(static_cast<int>(axis), 0, wide[axis], 2);
  view.assign(t);
  return view;
}

}  // namespace croton::test
