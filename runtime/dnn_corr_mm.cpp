#include "croton/runtime/dnn_corr_mm.h"

#include <oneapi/dnnl/dnnl.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "croton/codegen/thread_pool.h"
#include "croton/graph/error.h"
#include "croton/ops/conv_implementations.h"
#include "croton/runtime/column_matrix.h"
#include "croton/runtime/dnn_thread.h"

namespace croton {

namespace {

// Positions that make a product wide enough, and floats of one matrix of columns.
constexpr std::int64_t good_width = 512;
// From here on the product with one image as it lies is better than with several that are copied together.
constexpr std::int64_t good_image = 128;
constexpr std::int64_t most_columns = 1 << 20;

/// What one thread does: some images, and where there are fewer images than threads, some of the rows
/// (forward) or of the channels (backward) only.
struct Task {
  std::int64_t image = 0, images = 0;
  std::int64_t row = 0, rows = 0;
  std::int64_t channel = 0, channels = 0;  // within a group
};

class CorrMM final : public LibraryStep {
 public:
  CorrMM(const ConvProblem& problem, int threads)
      : p_(problem),
        channels_(p_.channels / p_.groups),
        filters_(p_.filters / p_.groups),
        taps_(p_.kernel.count()),
        positions_(p_.out.count()),
        is_direct_(is_pointwise(problem) && positions_ >= good_image) {
    plan_tasks(threads);
    plan_blocks();
  }

  void run(void* const* buffers) override {
    Run run;
    run.step = this;
    run.first = static_cast<const float*>(buffers[0]);
    run.second = static_cast<const float*>(buffers[1]);
    run.result = static_cast<float*>(buffers[2]);
    run.scratch = static_cast<float*>(buffers[3]);
    ThreadPool::instance().parallel_for(
        static_cast<std::int64_t>(tasks_.size()), 1,
        [](const void* context, std::int64_t begin, std::int64_t end, std::int32_t) {
          const Run& run = *static_cast<const Run*>(context);
          const DnnOnThisThread alone;
          for (std::int64_t i = begin; i < end; ++i) run.step->perform(run, static_cast<std::size_t>(i));
        },
        &run);
    if (run.status == dnnl_out_of_memory)
      throw MemoryError("a convolution by gemm: no memory to pack operands");
    if (run.status != dnnl_success) {
      throw InternalError("dnnl_sgemm refused its arguments (status " + std::to_string(run.status) + ")");
    }
    if (p_.direction == ConvDirection::backward_weights && partials_ > 1) add_partials(run);
  }

  std::size_t scratch_bytes() const override {
    return (tasks_.size() * task_scratch_ + partials_ * static_cast<std::size_t>(weights())) * sizeof(float);
  }
  std::string description() const override { return "im2col, oneDNN sgemm"; }

 private:
  struct Run {
    const CorrMM* step = nullptr;
    const float* first = nullptr;
    const float* second = nullptr;
    float* result = nullptr;
    float* scratch = nullptr;
    mutable std::atomic<int> status = dnnl_success;  // of a product that failed
  };

  std::int64_t weights() const { return p_.filters * channels_ * taps_; }

  void plan_tasks(int threads) {
    const std::int64_t image_parts =
        std::clamp<std::int64_t>(threads, 1, std::max<std::int64_t>(1, p_.batch));
    const bool is_forward = p_.direction == ConvDirection::forward;
    const std::int64_t extent = is_forward ? p_.out[0] : channels_;
    const std::int64_t parts =
        std::clamp<std::int64_t>(threads / image_parts, 1, std::max<std::int64_t>(1, extent));
    for (std::int64_t i = 0; i < image_parts; ++i) {
      for (std::int64_t part = 0; part < parts; ++part) {
        Task t;
        t.image = p_.batch * i / image_parts;
        t.images = p_.batch * (i + 1) / image_parts - t.image;
        const std::int64_t begin = extent * part / parts, end = extent * (part + 1) / parts;
        t.row = is_forward ? begin : 0;
        t.rows = is_forward ? end - begin : p_.out[0];
        t.channel = is_forward ? 0 : begin;
        t.channels = is_forward ? channels_ : end - begin;
        tasks_.push_back(t);
      }
    }
    parts_ = static_cast<std::size_t>(parts);
    if (p_.direction == ConvDirection::backward_weights && image_parts > 1) {
      partials_ = static_cast<std::size_t>(image_parts);
    }
  }

  /// A kernel of one element that visits every element of the image: the image is its own Toeplitz matrix.
  static bool is_pointwise(const ConvProblem& p) {
    bool is_plain = p.kernel.count() == 1;
    for (std::size_t axis = 0; axis < 2; ++axis) {
      is_plain = is_plain && p.stride[axis] == 1 && p.pad_lo[axis] == 0 && p.pad_hi[axis] == 0;
    }
    return is_plain;
  }

  /// Several whole images where they are small, some rows of one where they are large.
  void plan_blocks() {
    if (is_direct_) {
      block_rows_ = p_.out[0];
      return;
    }
    const std::int64_t terms = std::max<std::int64_t>(1, channels_ * taps_);
    const std::int64_t width = std::max<std::int64_t>(1, p_.out[1]);
    const std::int64_t most = std::max<std::int64_t>(width, most_columns / terms);  // positions
    block_images_ = std::max<std::int64_t>(1, std::min(good_width / std::max<std::int64_t>(1, positions_),
                                                       most / std::max<std::int64_t>(1, positions_)));
    block_rows_ = block_images_ > 1 ? p_.out[0] : std::clamp<std::int64_t>(most / width, 1, p_.out[0]);
    const std::int64_t columns = block_images_ * block_rows_ * width;
    columns_ = static_cast<std::size_t>((terms * columns + 15) / 16 * 16);
    // Small images: their outputs side by side.
    gathered_ = block_images_ > 1 ? static_cast<std::size_t>((filters_ * columns + 15) / 16 * 16) : 0;
    task_scratch_ = columns_ + gathered_;
  }

  void multiply(const Run& run, char ta, char tb, std::int64_t m, std::int64_t n, std::int64_t k,
                const float* a, std::int64_t lda, const float* b, std::int64_t ldb, float beta, float* c,
                std::int64_t ldc) const {
    if (m == 0 || n == 0) return;
    if (k == 0) {
      for (std::int64_t i = 0; i < m && beta == 0; ++i) std::fill_n(c + i * ldc, n, 0.f);
      return;
    }
    const auto lead = [](std::int64_t x) { return std::max<std::int64_t>(1, x); };
    const dnnl_status_t status =
        dnnl_sgemm(ta, tb, m, n, k, 1.f, a, lead(lda), b, lead(ldb), beta, c, lead(ldc));
    if (status != dnnl_success) run.status = status;
  }

  void perform(const Run& run, std::size_t index) const {
    const Task& task = tasks_[index];
    float* const columns = run.scratch + index * task_scratch_;
    float* weights_sum = run.result;
    if (partials_ > 1) {
      weights_sum =
          run.scratch + tasks_.size() * task_scratch_ + index / parts_ * static_cast<std::size_t>(weights());
    }
    if (p_.direction == ConvDirection::backward_inputs && !is_direct_) clear_image(run, task);
    for (std::int64_t g = 0; g < p_.groups; ++g) {
      bool is_first = true;
      for (std::int64_t n = task.image; n < task.image + task.images; n += block_images_) {
        for (std::int64_t y = task.row; y < task.row + task.rows; y += block_rows_) {
          ColumnBlock block;
          block.image = n;
          block.images = std::min(block_images_, task.image + task.images - n);
          block.row = y;
          block.rows = std::min(block_rows_, task.row + task.rows - y);
          block.channel = g * channels_ + task.channel;
          block.channels = task.channels;
          compute(run, g, task, block, columns, weights_sum, is_first);
          is_first = false;
        }
      }
      if (is_first && p_.direction == ConvDirection::backward_weights) {
        // No image at all.
        for (std::int64_t f = 0; f < filters_; ++f) {
          std::fill_n(weights_sum + ((g * filters_ + f) * channels_ + task.channel) * taps_,
                      task.channels * taps_, 0.f);
        }
      }
    }
  }

  void clear_image(const Run& run, const Task& task) const {
    const std::int64_t plane = p_.image.count();
    for (std::int64_t n = task.image; n < task.image + task.images; ++n) {
      for (std::int64_t g = 0; g < p_.groups; ++g) {
        const std::int64_t at = (n * p_.channels + g * channels_ + task.channel) * plane;
        std::fill_n(run.result + at, task.channels * plane, 0.f);
      }
    }
  }

  void compute(const Run& run, std::int64_t g, const Task& task, const ColumnBlock& block, float* columns,
               float* weights_sum, bool is_first) const {
    const std::int64_t terms = task.channels * taps_, all_terms = channels_ * taps_;
    const std::int64_t width = block.images * block.rows * p_.out[1];
    // The outputs of this block as a matrix [filters][positions]: as they lie, or gathered.
    const bool is_gathered = block.images > 1;
    const std::int64_t output =
        (block.image * p_.filters + g * filters_) * positions_ + block.row * p_.out[1];
    float* const gathered = columns + columns_;
    const std::int64_t lead = is_gathered ? width : positions_;
    const std::int64_t filter = g * filters_ * all_terms + task.channel * taps_;
    if (is_direct_) return compute_directly(run, g, task, block, weights_sum, is_first);
    if (p_.direction == ConvDirection::forward) {
      image_to_columns(p_, block, run.first, columns);
      float* const out = is_gathered ? gathered : run.result + output;
      multiply(run, 'N', 'N', filters_, width, terms, run.second + filter, all_terms, columns, width, 0, out,
               lead);
      if (is_gathered) {
        move(block, g, [&](std::int64_t inside, std::int64_t outside) {
          std::memcpy(run.result + outside, gathered + inside,
                      static_cast<std::size_t>(positions_) * sizeof(float));
        });
      }
      return;
    }
    const float* gradient = run.second + output;
    if (is_gathered) {
      move(block, g, [&](std::int64_t inside, std::int64_t outside) {
        std::memcpy(gathered + inside, run.second + outside,
                    static_cast<std::size_t>(positions_) * sizeof(float));
      });
      gradient = gathered;
    }
    if (p_.direction == ConvDirection::backward_inputs) {
      multiply(run, 'T', 'N', terms, width, filters_, run.first + filter, all_terms, gradient, lead, 0,
               columns, width);
      add_columns_to_image(p_, block, columns, run.result);
    } else {
      image_to_columns(p_, block, run.first, columns);
      multiply(run, 'N', 'T', filters_, terms, width, gradient, lead, columns, width, is_first ? 0.f : 1.f,
               weights_sum + filter, all_terms);
    }
  }

  /// The same without a copy of anything.
  void compute_directly(const Run& run, std::int64_t g, const Task& task, const ColumnBlock& block,
                        float* weights_sum, bool is_first) const {
    const std::int64_t from = block.row * p_.out[1], width = block.rows * p_.out[1];
    const std::int64_t image = (block.image * p_.channels + block.channel) * positions_ + from;
    const std::int64_t output = (block.image * p_.filters + g * filters_) * positions_ + from;
    const std::int64_t filter = g * filters_ * channels_ + task.channel;
    switch (p_.direction) {
      case ConvDirection::forward:
        return multiply(run, 'N', 'N', filters_, width, channels_, run.second + filter, channels_,
                        run.first + image, positions_, 0, run.result + output, positions_);
      case ConvDirection::backward_inputs:
        return multiply(run, 'T', 'N', task.channels, width, filters_, run.first + filter, channels_,
                        run.second + output, positions_, 0, run.result + image, positions_);
      case ConvDirection::backward_weights:
        return multiply(run, 'N', 'T', filters_, task.channels, width, run.second + output, positions_,
                        run.first + image, positions_, is_first ? 0.f : 1.f, weights_sum + filter, channels_);
    }
  }

  /// Calls f(place in the gathered matrix, place in the tensor) for the positions of each filter and image.
  template <class F>
  void move(const ColumnBlock& block, std::int64_t g, const F& f) const {
    for (std::int64_t o = 0; o < filters_; ++o) {
      for (std::int64_t n = 0; n < block.images; ++n) {
        f((o * block.images + n) * positions_,
          ((block.image + n) * p_.filters + g * filters_ + o) * positions_);
      }
    }
  }

  void add_partials(const Run& run) const {
    const float* partial = run.scratch + tasks_.size() * task_scratch_;
    for (std::int64_t i = 0; i < weights(); ++i) {
      float sum = partial[i];
      for (std::size_t part = 1; part < partials_; ++part) {
        sum += partial[part * static_cast<std::size_t>(weights()) + static_cast<std::size_t>(i)];
      }
      run.result[i] = sum;
    }
  }

  ConvProblem p_;
  std::int64_t channels_, filters_;  // of a group
  std::int64_t taps_, positions_;
  bool is_direct_;
  std::vector<Task> tasks_;
  std::size_t parts_ = 1;     // tasks with the same images
  std::size_t partials_ = 0;  // sums over images that are added at the end
  std::int64_t block_images_ = 1, block_rows_ = 1;
  std::size_t columns_ = 0, gathered_ = 0, task_scratch_ = 0;  // floats
};

}  // namespace

std::unique_ptr<LibraryStep> make_corr_mm(const Node& node, std::span<const Layout> inputs,
                                          std::span<const Layout> outputs) {
  const ConvProblem problem = concrete_conv_problem(node);
  if (problem.dtype != DType::float32 || problem.rank != 2) return nullptr;
  for (const std::span<const Layout>& layouts : {inputs, outputs}) {
    for (const Layout& layout : layouts) {
      if (!is_contiguous(layout)) return nullptr;
    }
  }
  return std::make_unique<CorrMM>(problem, ThreadPool::instance().threads());
}

}  // namespace croton
