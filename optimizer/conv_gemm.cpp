#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/conv_candidate.h"

namespace croton {

namespace {

// Below these a product is mostly overhead.
constexpr std::int64_t least_product_side = 16;
// From here on the generated loops, which need no copies, are faster: measured on Zen 4, 61 against 136
// GFLOP/s a core for 20 channels, 50 filters, 5 x 5, batch 500.
constexpr std::int64_t generated_batch = 8;

// On a GPU the product is of positions and filters (or channels), or of taps and filters; tensor cores take
// 16 x 8. Measured on an H200 below these: slower than cuDNN, or than direct loops.
constexpr std::int64_t least_gpu_columns = 8;
constexpr std::int64_t least_gpu_rows = 64;
constexpr std::int64_t least_gpu_depth = 8;
// Along three axes cuDNN's gradient of few filters' elements is so slow (27 rows: 50 times) that less will
// do.
constexpr std::int64_t least_gpu_rows_in_3d = 16;
// What the results of parts of long sums take at most, and where the sums are not cut into parts.
constexpr double most_partial_bytes = 64.0 * (1 << 20);
constexpr double most_split_results = 1 << 22;

/// How factors are multiplied on a GPU: by the dtype and the flag precision.
const char* gpu_arithmetic(DType dtype) {
  switch (dtype) {
    case DType::float64:
      return "fp64";
    case DType::float16:
      return "fp16";
    case DType::bfloat16:
      return "bf16";
    default:
      break;
  }
  switch (config().precision()) {
    case Precision::tf32:
      return "tf32";
    case Precision::bf16:
      return "bf16";
    default:
      return "tf32x3";
  }
}

struct ProductSides {
  std::int64_t rows = 0, columns = 0, depth = 0;
};

ProductSides gpu_sides(const ConvProblem& p) {
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  switch (p.direction) {
    case ConvDirection::forward:
      return {p.batch * p.out.count(), filters, channels * p.kernel.count()};
    case ConvDirection::backward_inputs: {
      // The remainders of positions are columns where there are few channels.
      std::int64_t remainders = 1;
      for (const std::int64_t stride : p.stride) remainders *= stride;
      return {p.batch * p.image.count() / std::max<std::int64_t>(1, remainders), channels * remainders,
              filters * p.kernel.count()};
    }
    default:
      return {channels * p.kernel.count(), filters, p.batch * p.out.count()};
  }
}

Support gemm_on_gpu(const ConvProblem& p) {
  constexpr std::int64_t most = std::numeric_limits<std::int32_t>::max();
  if (std::max({p.image_shape().count(), p.filter_shape().count(), p.out_shape().count()}) > most)
    return refuse("an operand has more than 2^31 elements");
  const ProductSides sides = gpu_sides(p);
  const std::int64_t least_rows = p.rank == 3 ? least_gpu_rows_in_3d : least_gpu_rows;
  if (sides.rows < least_rows || sides.columns < least_gpu_columns || sides.depth < least_gpu_depth) {
    return poor(fmt::format("a product of {} x {} with sums of {} a group is too thin", sides.rows,
                            sides.columns, sides.depth));
  }
  return accept();
}

// Where cuDNN has neither Winograd's filtering nor Fourier transforms its float32 is fused multiply-adds
// without tensor cores. Measured on an H200 (float32, cuDNN 9.19): 0.5 to 0.8 of its time from about here on.
constexpr std::int64_t least_favoured_channels = 32;
constexpr std::int64_t least_favoured_depth = 128;
constexpr std::int64_t least_favoured_positions = 8192;
// Under large kernels. Over images that leave tiles of transforms empty (12 x 12, 5 x 5): forward and for the
// filters' gradient 0.4 of its time for 20 and 0.5 for 32 channels (in TF32 0.35 and 0.5); for 16 channels of
// 28 x 28 1.9 of it. Of few channels, whatever the images: 0.45 for 3 channels under 11 x 11 with stride 4
// (in TF32 0.3 and 0.5), 0.75 without stride.
constexpr std::int64_t large_kernel = 25;
constexpr std::int64_t least_channels_under_large_kernels = 16, most_channels_under_large_kernels = 63;
constexpr std::int64_t most_small_image = 16;
constexpr std::int64_t few_channels = 4;
// Along three axes: 0.5 and 0.02 of its time for 3 channels, 0.6 and 0.04 for 8, 0.3 for 64 (forward and for
// the filters' gradient, which is slow there); in TF32 0.25 to 0.65, but 1.5 for 64.
constexpr std::int64_t many_channels_in_tf32 = 64;

/// Float32 on a GPU, in the precisions that were measured.
bool is_measured_arithmetic(const ConvProblem& p) {
  const Precision precision = config().precision();
  return p.device.is_cuda() && p.dtype == DType::float32 &&
         (precision == Precision::ieee || precision == Precision::tf32);
}

bool has_large_kernel(const ConvProblem& p) { return p.kernel.count() >= large_kernel; }
bool has_small_images(const ConvProblem& p) {
  return std::ranges::all_of(p.image, [](std::int64_t n) { return n <= most_small_image; });
}

std::string gemm_favoured(const ConvProblem& p) {
  if (!is_measured_arithmetic(p) || gemm_on_gpu(p).kind != Support::Kind::accept ||
      p.batch * p.out.count() < least_favoured_positions)
    return {};
  const bool has_stride = p.has_strides();
  const bool has_dilation = !std::ranges::all_of(p.dilation, [](std::int64_t n) { return n == 1; });
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  const bool is_precise = config().precision() == Precision::ieee;
  if (p.rank == 3 && (is_precise || std::max(channels, filters) < many_channels_in_tf32))
    return "ahead of the library on a GPU: it is slow along three axes";
  if (p.direction != ConvDirection::backward_inputs && has_large_kernel(p) &&
      filters >= least_favoured_channels) {
    const bool has_channels = channels >= least_channels_under_large_kernels &&
                              channels <= most_channels_under_large_kernels && has_small_images(p);
    if (has_channels || channels <= few_channels) {
      return fmt::format("ahead of the library on a GPU: {} channel{} a group under a kernel of {} elements",
                         channels, channels == 1 ? "" : "s", p.kernel.count());
    }
  }
  if (std::min(channels, filters) < least_favoured_channels || gpu_sides(p).depth < least_favoured_depth ||
      !(has_stride || has_dilation || p.kernel.count() == 1))
    return {};
  return fmt::format("ahead of the library on a GPU: with {} cuDNN has no transforms{}",
                     has_stride     ? "strides"
                     : has_dilation ? "dilation"
                                    : "kernels of one element",
                     is_precise ? ", and its float32 no tensor cores" : "");
}

Support gemm_on_cpu(const ConvProblem& p) {
  if (p.rank != 2) return refuse(fmt::format("{} spatial axes; gemm has 2", p.rank));
  if (p.dtype != DType::float32) return refuse(fmt::format("dtype {}; gemm has float32", name_of(p.dtype)));
  const std::int64_t filters = p.filters / p.groups, row = p.channels / p.groups * p.kernel.count();
  if (filters < least_product_side || row < least_product_side) {
    return poor(
        fmt::format("a product of {} filters with {} kernel elements a group is too thin", filters, row));
  }
  if (is_matrix_product(p)) return accept();
  if (p.batch >= generated_batch) {
    return poor(
        fmt::format("im2col copies every image element {} times; generated loops over a batch of {} do not",
                    p.kernel.count(), p.batch));
  }
  return accept();
}

/// The filters (for their gradient that of the output) once more, in the order and the halves of tensor
/// cores, and the results of the parts of long sums.
std::size_t gemm_workspace(const ConvProblem& p) {
  const bool is_weights = p.direction == ConvDirection::backward_weights;
  const double packed =
      static_cast<double>((is_weights ? p.out_shape() : p.filter_shape()).count()) *
      (std::string_view(gpu_arithmetic(p.dtype)) == "tf32x3" ? 8 : static_cast<double>(size_of(p.dtype)));
  const double results = static_cast<double>((is_weights                              ? p.filter_shape()
                                              : p.direction == ConvDirection::forward ? p.out_shape()
                                                                                      : p.image_shape())
                                                 .count());
  constexpr double terms_of_part = 64, most_parts = 128;
  const double parts = std::min(most_parts, static_cast<double>(gpu_sides(p).depth) / terms_of_part);
  const double partial =
      results < most_split_results ? std::min(most_partial_bytes, results * parts * sizeof(float)) : 0;
  return static_cast<std::size_t>(packed + partial);
}

/// Of float32 as three products of halves: tensor cores add up 16 terms at a time and cut what others round,
/// and the product of the small halves is left out: `cut` roundings. The factors as thousands of random
/// problems on an H200 show them: 0.8 of this at most.
double halves_error(const ConvProblem& p) {
  constexpr double cut = 3.2;
  const double additions = static_cast<double>(conv_terms(p)) / 16;
  return arithmetic_roundoff(p.dtype) * (cut + 1.8 * (1 + 0.4 * std::sqrt(additions)));
}

double gemm_error(const ConvProblem& p) {
  const bool has_halves = std::string_view(gpu_arithmetic(p.dtype)) == "tf32x3";
  return std::max(has_halves ? halves_error(p) : plain_sum_error(p), allowed_factor_roundoff(p.dtype));
}

/// Of products of halves in float16: both operands' halves.
std::size_t halves_workspace(const ConvProblem& p) {
  const bool is_weights = p.direction == ConvDirection::backward_weights;
  const std::int64_t gathered =
      (p.direction == ConvDirection::backward_inputs ? p.out_shape() : p.image_shape()).count();
  const std::int64_t packed = (is_weights ? p.out_shape() : p.filter_shape()).count();
  return gemm_workspace(p) + static_cast<std::size_t>(gathered - packed) * sizeof(float);
}

/// Elements of the products that are folded.
std::int64_t folded_products(const ConvProblem& p) {
  return p.channels * p.kernel.count() * p.batch * p.out.count();
}

Support folded_support(const ConvProblem& p) {
  if (p.direction != ConvDirection::backward_inputs)
    return refuse("it adds products up to the gradient with respect to the inputs, nothing else");
  // Beside what has to be read and written in any case.
  constexpr std::int64_t most_products = 8;
  const std::int64_t products = folded_products(p), others = p.out_shape().count() + p.image_shape().count();
  if (products > std::numeric_limits<std::int32_t>::max() || products > most_products * others) {
    return refuse(
        fmt::format("{} products for {} elements of the output's gradient to be written and added up",
                    products, p.out_shape().count()));
  }
  if (std::max(p.filter_shape().count(), others) > std::numeric_limits<std::int32_t>::max())
    return refuse("an operand has more than 2^31 elements");
  const std::int64_t columns = p.channels / p.groups * p.kernel.count(), depth = p.filters / p.groups;
  if (p.batch * p.out.count() < least_gpu_rows || columns < least_gpu_columns || depth < least_gpu_depth) {
    return poor(fmt::format("a product of {} x {} with sums of {} a group is too thin",
                            p.batch * p.out.count(), columns, depth));
  }
  return accept();
}

/// Measured on an H200 (float32, 128 images, 128 filters over 3 channels, 3 x 3 with dilation 2): 0.43 of
/// the library's time for 64 x 64, 0.56 for 16 x 16; 0.64 of that of direct loops. Under large kernels, where
/// blocks fold what they multiply: 0.7 for 3 channels under 11 x 11, 0.8 for 20 under 5 x 5 (in TF32 0.6,
/// 0.6).
std::string folded_favoured(const ConvProblem& p) {
  if (!is_measured_arithmetic(p) || folded_support(p).kind != Support::Kind::accept) return {};
  // Both sides of the product fill tensor cores.
  constexpr std::int64_t least_columns = 24, least_filters = 64, most_share = 4;
  // Every multiprocessor has an image.
  constexpr std::int64_t least_images = 100;
  const std::int64_t most_channels = config().precision() == Precision::tf32 ? 32 : 24;
  const std::int64_t channels = p.channels / p.groups, filters = p.filters / p.groups;
  const std::int64_t columns = channels * p.kernel.count();
  const bool is_small =
      columns >= least_columns && filters >= least_filters && columns * most_share <= filters;
  const bool folds_in_blocks =
      has_large_kernel(p) && filters >= least_favoured_channels &&
      (channels <= few_channels || (channels <= most_channels && has_small_images(p))) &&
      p.batch * p.groups >= least_images;
  if (!(is_small || folds_in_blocks) || p.batch * p.out.count() < least_favoured_positions) return {};
  return fmt::format(
      "ahead of others on a GPU: {} products an element of the output's gradient, of {} filters", columns,
      filters);
}

template <std::int64_t cut>
Variable build_gemm(const ConvProblem& p, const Variable& first, const Variable& second,
                    const Attributes& attributes) {
  if (p.device.is_host()) return apply_concrete_conv(corr_mm_op(), p, first, second, attributes);
  Attributes all = attributes.with("arithmetic", std::string(gpu_arithmetic(p.dtype)));
  if (cut > 0) all = all.with("cut", cut);
  return apply_concrete_conv(corr_mm_op(), p, first, second, all);
}

Variable build_halves(const ConvProblem& p, const Variable& first, const Variable& second,
                      const Attributes& attributes) {
  return apply_concrete_conv(corr_mm_op(), p, first, second,
                             attributes.with("arithmetic", std::string("fp16x3")));
}

}  // namespace

/// On the CPU the Toeplitz matrix of an image at a time and a matrix product with the filters; on a GPU one
/// product that fetches its operands from where they lie.
const ConvCandidate conv_gemm = {
    .name = "gemm",
    .tag = "conv_gemm",
    .favoured = gemm_favoured,
    .support = [](const ConvProblem& p) { return p.device.is_cuda() ? gemm_on_gpu(p) : gemm_on_cpu(p); },
    .workspace = [](const ConvProblem& p) -> std::size_t {
      if (p.device.is_cuda()) return gemm_workspace(p);
      if (is_matrix_product(p)) return 0;
      return static_cast<std::size_t>(p.channels / p.groups * p.kernel.count() * p.out.count()) *
             sizeof(float);
    },
    .error = [](const ConvProblem& p) -> double {
      return p.device.is_cuda() ? gemm_error(p) : plain_sum_error(p);
    },
    .build = build_gemm<0>,
};

/// On a GPU float32 as sums of three products in float16, which tensor cores compute twice as fast as in
/// TF32: the operands are brought to the scale of float16 first.
const ConvCandidate conv_gemm_halves = {
    .name = "gemm_fp16x3",
    .tag = "conv_gemm",
    .place = ConvPlace::gpu,
    .opt_in = true,
    .support = [](const ConvProblem& p) -> Support {
      if (p.dtype != DType::float32)
        return refuse(fmt::format("dtype {}; it is for float32", name_of(p.dtype)));
      return gemm_on_gpu(p);
    },
    .workspace = halves_workspace,
    .error = [](const ConvProblem& p) { return halves_error(p); },
    .build = build_halves,
};

/// The inputs' gradient of few channels on a GPU: every element of the output's gradient is a factor once,
/// not once a tap; the products of all taps are added up where they belong behind that (col2im).
const ConvCandidate conv_gemm_folded = {
    .name = "gemm_folded",
    .tag = "conv_gemm",
    .place = ConvPlace::gpu,
    .opt_in = true,
    .favoured = folded_favoured,
    .support = folded_support,
    .workspace = [](const ConvProblem& p) -> std::size_t {
      const std::size_t value = p.dtype == DType::float64 ? 8 : 4;
      return static_cast<std::size_t>(folded_products(p) + 2 * p.filter_shape().count()) * value;
    },
    .error = gemm_error,
    .build =
        [](const ConvProblem& p, const Variable& first, const Variable& second,
           const Attributes& attributes) {
          return build_gemm<0>(p, first, second, attributes.with("folded", std::int64_t{1}));
        },
};

/// gemm on a GPU, cut into other tiles: what the estimate of the time puts second.
const ConvCandidate conv_gemm_second = {
    .name = "gemm_second",
    .tag = "conv_gemm",
    .place = ConvPlace::gpu,
    .opt_in = true,
    .support = gemm_on_gpu,
    .workspace = gemm_workspace,
    .error = gemm_error,
    .build = build_gemm<1>,
};

}  // namespace croton
