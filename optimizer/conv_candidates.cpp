#include "croton/optimizer/conv_candidate.h"

#include <cmath>
#include <mutex>
#include <vector>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv_implementations.h"
#include "croton/optimizer/expressions.h"

namespace croton {

namespace {

/// The order is the default priority.
std::vector<const ConvCandidate*> built_in() {
  std::vector<const ConvCandidate*> all = {
      &conv_dnn,         &conv_gemm,         &conv_gemm_folded, &conv_legacy,  &conv_fft,
      &conv_fft_tiling,  &conv_winograd_4x4, &conv_winograd,    &conv_c01b,    &conv_conv3d2d,
      &conv_gemm_halves, &conv_gemm_second,  &conv_dnn_graph,   &conv_dnn_b01c};
  for (const ConvCandidate& candidate : cudnn_algorithm_candidates()) all.push_back(&candidate);
  return all;
}

struct CandidateList {
  std::vector<const ConvCandidate*> candidates = built_in();
  std::mutex mutex;
  bool is_closed = false;
};

CandidateList& candidate_list() {
  static CandidateList& instance = *new CandidateList;
  return instance;
}

}  // namespace

std::span<const ConvCandidate* const> conv_candidates() {
  CandidateList& list = candidate_list();
  const std::lock_guard guard(list.mutex);
  list.is_closed = true;
  return list.candidates;
}

void register_conv_candidate(const ConvCandidate& candidate) {
  CandidateList& list = candidate_list();
  const std::lock_guard guard(list.mutex);
  if (list.is_closed) {
    throw ValueError(
        "the convolution '" + std::string(candidate.name) +
        "' is registered too late: implementations are registered before the first function is made");
  }
  list.candidates.push_back(&candidate);
}

Variable conv_in_layout(const Op& op, const ConvProblem& p, const Variable& first, const Variable& second,
                        const Attributes& attributes) {
  const ConvLayout layout = conv_layout_of(op);
  const auto into = [&](const Variable& x) {
    return dimshuffle(x, axes_into(layout, x.type().shape.size()));
  };
  const Variable result = apply_concrete_conv(op, p, into(first), into(second), attributes);
  return dimshuffle(result, axes_out_of(layout, result.type().shape.size()));
}

bool is_matrix_product(const ConvProblem& p) {
  bool is_plain = p.kernel.count() == 1 && p.groups == 1;
  for (std::size_t axis = 0; axis < p.kernel.size(); ++axis)
    is_plain = is_plain && p.stride[axis] == 1 && p.pad_lo[axis] == 0 && p.pad_hi[axis] == 0;
  return is_plain;
}

std::int64_t conv_terms(const ConvProblem& p) {
  switch (p.direction) {
    case ConvDirection::forward:
      return p.channels / p.groups * p.kernel.count();
    case ConvDirection::backward_inputs:
      return p.filters / p.groups * p.kernel.count();
    default:
      return p.unshared ? p.batch : p.batch * p.out.count();
  }
}

double arithmetic_roundoff(DType dtype) { return dtype == DType::float64 ? 0x1p-53 : 0x1p-24; }

double storage_roundoff(DType dtype) {
  switch (dtype) {
    case DType::float16:
      return 0x1p-11;
    case DType::bfloat16:
      return 0x1p-8;
    default:
      return 0;
  }
}

double allowed_factor_roundoff(DType dtype) {
  if (dtype != DType::float32) return 0;
  switch (config().precision()) {
    case Precision::tf32:
      return 0x1p-11;
    case Precision::bf16:
      return 0x1p-8;
    default:
      return 0;
  }
}

double sequential_error(const ConvProblem& p) {
  return arithmetic_roundoff(p.dtype) * (1 + 0.4 * std::sqrt(static_cast<double>(conv_terms(p)))) +
         storage_roundoff(p.dtype);
}

double plain_sum_error(const ConvProblem& p) {
  constexpr double of_usual = 2;
  return of_usual * sequential_error(p);
}

double library_sum_error(const ConvProblem& p) {
  // The largest of 26,000 random problems by oneDNN 2.6 was 2.13.
  constexpr double of_usual = 2.25;
  return of_usual * sequential_error(p);
}

}  // namespace croton
