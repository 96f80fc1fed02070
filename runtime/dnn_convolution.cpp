#include "croton/runtime/dnn_convolution.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <oneapi/dnnl/dnnl.hpp>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"
#include "croton/ops/conv_implementations.h"
#include "croton/runtime/dnn_conv_primitive.h"
#include "croton/runtime/dnn_thread.h"

namespace croton {

namespace {

using Dims = dnnl::memory::dims;
using Desc = dnnl::memory::desc;

constexpr std::size_t alignment = 64;
std::size_t aligned(std::size_t bytes) { return (bytes + alignment - 1) / alignment * alignment; }

/// What one thread computes: a range of the images, and of the filters or channels.
struct Slice {
  std::int64_t image = 0, images = 0;
  std::int64_t filter = 0, filters = 0;
  std::int64_t channel = 0, channels = 0;
};

/// An operand of the convolution: where it lies in our tensor, and in what format oneDNN wants it.
struct ConvOperand {
  int argument = 0;
  Desc ours, theirs;
  std::int64_t offset = 0;  // elements, from the tensor's first
  dnnl::reorder reorder;    // between the two, unless they are the same
  std::size_t scratch = 0;  // bytes into the scratch memory of the slice, where it is reordered
  bool is_same() const { return ours == theirs; }
  ConvOperand as(int which) const {
    ConvOperand o = *this;
    o.argument = which;
    return o;
  }
};

/// The prepared work of one slice.
struct SliceWork {
  std::array<ConvOperand, 3> operands;  // first, second, result
  dnnl::primitive convolution;
  Desc scratchpad;
  std::size_t scratchpad_at = 0;
  std::string implementation;
};

/// The memory objects of a run: oneDNN keeps pointers in them, so that concurrent runs need some each.
struct Bindings {
  struct OfSlice {
    std::array<dnnl::memory, 3> ours, theirs;
    dnnl::memory scratchpad;
    std::array<dnnl_exec_arg_t, 4> arguments;
    dnnl::stream stream;
  };
  std::vector<OfSlice> slices;
};

class DnnConvolution final : public LibraryStep {
 public:
  DnnConvolution(const ConvProblem& problem, int threads) : p_(problem) {
    plan_slices(threads);
    for (const Slice& slice : slices_) work_.push_back(prepare(slice));
    const std::size_t weights = static_cast<std::size_t>(floats_of_filters()) * sizeof(float);
    // Turned filters, or the partial sums of the slices, before the slices' own memory.
    if (is_weights()) {
      if (image_slices_ > 1 || p_.flip) shared_ = image_slices_ * weights;
    } else if (p_.flip) {
      shared_ = weights;
    }
    partial_ = weights;
    for (SliceWork& work : work_) {
      std::size_t bytes = 0;
      for (ConvOperand& operand : work.operands) {
        operand.scratch = bytes;
        if (!operand.is_same()) bytes += aligned(operand.theirs.get_size());
      }
      work.scratchpad_at = bytes;
      bytes += aligned(work.scratchpad.get_size());
      slice_bytes_ = std::max(slice_bytes_, bytes);
    }
    spare_ = bind().release();
  }
  ~DnnConvolution() override { delete spare_.load(); }

  void run(void* const* buffers) override {
    std::unique_ptr<Bindings> bindings(spare_.exchange(nullptr));
    if (bindings == nullptr) bindings = bind();
    auto* const scratch = static_cast<std::byte*>(buffers[3]);
    Run run{this, bindings.get(), {}, scratch + shared_, {}};
    for (int i = 0; i < 3; ++i) run.tensors[static_cast<std::size_t>(i)] = static_cast<float*>(buffers[i]);
    if (shared_ != 0) {
      auto* const weights = reinterpret_cast<float*>(scratch);
      if (is_weights()) {
        run.tensors[2] = weights;
      } else {
        const std::size_t which = p_.direction == ConvDirection::forward ? 1 : 0;
        turn(run.tensors[which], weights);
        run.tensors[which] = weights;
      }
    }
    ThreadPool::instance().parallel_for(
        static_cast<std::int64_t>(work_.size()), 1,
        [](const void* context, std::int64_t begin, std::int64_t end, std::int32_t) {
          const Run& run = *static_cast<const Run*>(context);
          const DnnOnThisThread alone;
          for (std::int64_t i = begin; i < end; ++i) run.step->perform(run, static_cast<std::size_t>(i));
        },
        &run);
    delete spare_.exchange(bindings.release());
    if (run.status != dnnl_success) {
      throw InternalError("oneDNN could not run a convolution (status " + std::to_string(run.status) + ")");
    }
    if (is_weights() && shared_ != 0) finish_weights(static_cast<float*>(buffers[2]), run.tensors[2]);
  }

  std::size_t scratch_bytes() const override { return shared_ + work_.size() * slice_bytes_; }
  std::string description() const override { return "oneDNN " + work_.front().implementation; }

 private:
  struct Run {
    const DnnConvolution* step;
    Bindings* bindings;
    std::array<float*, 3> tensors;
    std::byte* scratch;
    mutable std::atomic<int> status{dnnl_success};
  };

  bool is_weights() const { return p_.direction == ConvDirection::backward_weights; }

  void plan_slices(int threads) {
    image_slices_ = static_cast<std::size_t>(std::clamp<std::int64_t>(threads, 1, p_.batch));
    const bool by_channel = p_.direction == ConvDirection::backward_inputs;
    const std::int64_t extent = by_channel ? p_.channels : p_.filters;
    // Few images: filters or channels are shared out, in blocks of 16.
    const auto images = static_cast<std::int64_t>(image_slices_);
    const std::int64_t parts =
        p_.groups > 1 ? 1 : std::clamp<std::int64_t>(threads / images, 1, (extent + 15) / 16);
    const std::int64_t part = ((extent + parts - 1) / parts + 15) / 16 * 16;
    for (std::int64_t i = 0; i < images; ++i) {
      for (std::int64_t begin = 0; begin < extent; begin += parts == 1 ? extent : part) {
        const std::int64_t length = parts == 1 ? extent : std::min(part, extent - begin);
        Slice s;
        s.image = p_.batch * i / images;
        s.images = p_.batch * (i + 1) / images - s.image;
        s.filter = by_channel ? 0 : begin;
        s.filters = by_channel ? p_.filters : length;
        s.channel = by_channel ? begin : 0;
        s.channels = by_channel ? length : p_.channels;
        slices_.push_back(s);
      }
    }
  }

  SliceWork prepare(const Slice& s) const {
    const Shape &in = p_.image, &out = p_.out, &kernel = p_.kernel;
    const std::int64_t plane = in.count(), positions = out.count(), taps = kernel.count();
    const std::int64_t channels = p_.channels / p_.groups;
    const Dims image_dims{s.images, s.channels, in[0], in[1]}, out_dims{s.images, s.filters, out[0], out[1]};
    Dims filter_dims, filter_strides;
    if (p_.groups > 1) {
      const std::int64_t filters = p_.filters / p_.groups;
      filter_dims = {p_.groups, filters, channels, kernel[0], kernel[1]};
      filter_strides = {filters * channels * taps, channels * taps, taps, kernel[1], 1};
    } else {
      filter_dims = {s.filters, s.channels, kernel[0], kernel[1]};
      filter_strides = {channels * taps, taps, kernel[1], 1};
    }
    const DnnConvPrimitive made = make_conv_primitive(p_, image_dims, filter_dims, out_dims);
    const auto operand = [](const Desc& theirs, const Dims& dims, const Dims& strides, std::int64_t offset) {
      ConvOperand o;
      o.ours = Desc(dims, dnnl::memory::data_type::f32, strides);
      o.theirs = theirs;
      o.offset = offset;
      return o;
    };
    const ConvOperand image = operand(made.image, image_dims, {p_.channels * plane, plane, in[1], 1},
                                      (s.image * p_.channels + s.channel) * plane);
    ConvOperand filters =
        operand(made.filters, filter_dims, filter_strides, s.filter * channels * taps + s.channel * taps);
    const ConvOperand output = operand(made.output, out_dims, {p_.filters * positions, positions, out[1], 1},
                                       (s.image * p_.filters + s.filter) * positions);
    SliceWork work;
    switch (p_.direction) {
      case ConvDirection::forward:
        work.operands = {image.as(DNNL_ARG_SRC), filters.as(DNNL_ARG_WEIGHTS), output.as(DNNL_ARG_DST)};
        break;
      case ConvDirection::backward_inputs:
        work.operands = {filters.as(DNNL_ARG_WEIGHTS), output.as(DNNL_ARG_DIFF_DST),
                         image.as(DNNL_ARG_DIFF_SRC)};
        break;
      case ConvDirection::backward_weights:
        // Sums over other images lie in a tensor of their own.
        if (s.image != 0) filters.offset += slice_number(s) * floats_of_filters();
        work.operands = {image.as(DNNL_ARG_SRC), output.as(DNNL_ARG_DIFF_DST),
                         filters.as(DNNL_ARG_DIFF_WEIGHTS)};
        break;
    }
    work.convolution = made.primitive;
    work.scratchpad = made.scratchpad;
    work.implementation = made.implementation;
    for (std::size_t i = 0; i < 3; ++i) {
      ConvOperand& o = work.operands[i];
      if (o.is_same()) continue;
      const Desc &from = i < 2 ? o.ours : o.theirs, &to = i < 2 ? o.theirs : o.ours;
      const dnnl::reorder::primitive_desc reorder(cpu_engine(), from, cpu_engine(), to, user_scratchpad());
      o.reorder = dnnl::reorder(reorder);
      if (reorder.scratchpad_desc().get_size() > work.scratchpad.get_size())
        work.scratchpad = reorder.scratchpad_desc();
    }
    return work;
  }

  /// Of one tensor of filters, aligned.
  std::int64_t floats_of_filters() const {
    return static_cast<std::int64_t>(
        aligned(static_cast<std::size_t>(p_.filter_shape().count()) * sizeof(float)) / sizeof(float));
  }

  /// Which range of images a slice has.
  std::int64_t slice_number(const Slice& s) const {
    std::int64_t number = 0;
    for (const Slice& other : slices_) {
      if (other.filter == s.filter && other.channel == s.channel && other.image < s.image) ++number;
    }
    return number;
  }

  std::unique_ptr<Bindings> bind() const {
    auto bindings = std::make_unique<Bindings>();
    for (const SliceWork& work : work_) {
      Bindings::OfSlice b;
      for (std::size_t i = 0; i < 3; ++i) {
        const ConvOperand& o = work.operands[i];
        b.ours[i] = dnnl::memory(o.ours, cpu_engine(), DNNL_MEMORY_NONE);
        if (!o.is_same()) b.theirs[i] = dnnl::memory(o.theirs, cpu_engine(), DNNL_MEMORY_NONE);
        b.arguments[i] = {o.argument, (o.is_same() ? b.ours[i] : b.theirs[i]).get()};
      }
      b.scratchpad = dnnl::memory(work.scratchpad, cpu_engine(), DNNL_MEMORY_NONE);
      b.arguments[3] = {DNNL_ARG_SCRATCHPAD, b.scratchpad.get()};
      b.stream = dnnl::stream(cpu_engine());
      bindings->slices.push_back(std::move(b));
    }
    return bindings;
  }

  void perform(const Run& run, std::size_t index) const noexcept {
    const SliceWork& work = work_[index];
    Bindings::OfSlice& b = run.bindings->slices[index];
    std::byte* const scratch = run.scratch + index * slice_bytes_;
    const auto check = [&](dnnl_status_t status) {
      if (status != dnnl_success) run.status = status;
    };
    const auto point = [&](const dnnl::memory& memory, void* at) {
      check(dnnl_memory_set_data_handle(memory.get(), at));
    };
    const auto move = [&](const dnnl::reorder& reorder, const dnnl::memory& from, const dnnl::memory& to) {
      const dnnl_exec_arg_t arguments[] = {
          {DNNL_ARG_FROM, from.get()}, {DNNL_ARG_TO, to.get()}, {DNNL_ARG_SCRATCHPAD, b.scratchpad.get()}};
      check(dnnl_primitive_execute(reorder.get(), b.stream.get(), 3, arguments));
    };
    point(b.scratchpad, scratch + work.scratchpad_at);
    for (std::size_t i = 0; i < 3; ++i) {
      const ConvOperand& o = work.operands[i];
      point(b.ours[i], run.tensors[i] + o.offset);
      if (!o.is_same()) point(b.theirs[i], scratch + o.scratch);
    }
    for (std::size_t i = 0; i < 2; ++i) {
      if (!work.operands[i].is_same()) move(work.operands[i].reorder, b.ours[i], b.theirs[i]);
    }
    check(dnnl_primitive_execute(work.convolution.get(), b.stream.get(), 4, b.arguments.data()));
    if (!work.operands[2].is_same()) move(work.operands[2].reorder, b.theirs[2], b.ours[2]);
  }

  /// Kernels back to front: oneDNN computes correlations.
  void turn(const float* from, float* to) const {
    const std::int64_t taps = p_.kernel.count(), filters = p_.filter_shape().count() / taps;
    for (std::int64_t f = 0; f < filters; ++f) {
      std::reverse_copy(from + f * taps, from + (f + 1) * taps, to + f * taps);
    }
  }

  void finish_weights(float* result, float* partial) const {
    const std::int64_t count = p_.filter_shape().count();
    for (std::size_t slice = 1; slice < image_slices_; ++slice) {
      const float* other = partial + slice * (partial_ / sizeof(float));
      for (std::int64_t i = 0; i < count; ++i) partial[i] += other[i];
    }
    if (p_.flip) {
      turn(partial, result);
    } else {
      std::copy_n(partial, count, result);
    }
  }

  ConvProblem p_;
  std::vector<Slice> slices_;
  std::vector<SliceWork> work_;
  std::size_t image_slices_ = 1;
  std::size_t shared_ = 0, partial_ = 0, slice_bytes_ = 0;
  std::atomic<Bindings*> spare_{nullptr};
};

}  // namespace

std::unique_ptr<LibraryStep> make_dnn_convolution(const Node& node, std::span<const Layout> inputs,
                                                  std::span<const Layout> outputs) {
  const ConvProblem problem = concrete_conv_problem(node);
  if (problem.dtype != DType::float32 || problem.rank != 2) return nullptr;
  for (const std::span<const Layout>& layouts : {inputs, outputs}) {
    for (const Layout& layout : layouts) {
      if (layout.shape.count() == 0 || !is_contiguous(layout)) return nullptr;
    }
  }
  try {
    const DnnOnThisThread alone;  // primitives remember how many threads they were made for
    return std::make_unique<DnnConvolution>(problem, ThreadPool::instance().threads());
  } catch (const dnnl::error& error) {
    if (error.status == dnnl_unimplemented || error.status == dnnl_invalid_arguments) return nullptr;
    if (error.status == dnnl_out_of_memory) throw MemoryError("oneDNN: no memory to prepare a convolution");
    throw InternalError(std::string("oneDNN: ") + error.what());
  }
}

std::string dnn_version() {
  const dnnl_version_t* version = ::dnnl_version();
  return std::to_string(version->major) + "." + std::to_string(version->minor) + "." +
         std::to_string(version->patch);
}

}  // namespace croton
