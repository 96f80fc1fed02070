#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/export.h"
#include "croton/graph/variable.h"
#include "croton/ops/conv_problem.h"

namespace croton {

/// Whether an implementation takes a problem, and otherwise why not: what an error says and what a log says
/// is the same text.
struct Support {
  enum class Kind : std::uint8_t {
    accept,
    poor,   ///< it computes it, but something else is known to be faster here
    refuse  ///< it cannot
  };
  Kind kind = Kind::accept;
  std::string reason;
};
inline Support accept() { return {}; }
inline Support poor(std::string reason) { return {Support::Kind::poor, std::move(reason)}; }
inline Support refuse(std::string reason) { return {Support::Kind::refuse, std::move(reason)}; }

/// Where there is an implementation at all: elsewhere it is not asked.
enum class ConvPlace : std::uint8_t { anywhere, gpu };

/// An implementation of convolutions. Each is one file, and one entry of conv_candidates().
struct ConvCandidate {
  std::string_view name;
  /// What queries include and exclude it by; the name of the rewrite in the history of the nodes it made.
  std::string_view tag;
  ConvPlace place = ConvPlace::anywhere;
  /// It knows filters that are unshared; others are not asked about them.
  bool knows_unshared = false;
  /// It makes machine code for the problem: FAST_COMPILE takes any other that can compute it.
  bool costly = false;
  /// Taken only when it is asked for by its tag, by measurement, or where it is favoured.
  bool opt_in = false;
  /// Why it goes before all that are not asked for by name: measurements of a kind of problem. Empty
  /// elsewhere; null: nowhere.
  std::string (*favoured)(const ConvProblem& problem) = nullptr;
  Support (*support)(const ConvProblem& problem);
  /// Bytes of memory beside operands and result, about.
  std::size_t (*workspace)(const ConvProblem& problem);
  /// The largest error to expect of operands that are uniform on (-1, 1), relative to the largest result.
  double (*error)(const ConvProblem& problem);
  /// The result from the operands of that direction (see ops/conv_implementations.h). `attributes`: those of
  /// the abstract node.
  Variable (*build)(const ConvProblem& problem, const Variable& first, const Variable& second,
                    const Attributes& attributes);
};

extern CROTON_API const ConvCandidate conv_dnn;
extern CROTON_API const ConvCandidate conv_gemm;
extern CROTON_API const ConvCandidate conv_gemm_folded;
extern CROTON_API const ConvCandidate conv_gemm_halves;
extern CROTON_API const ConvCandidate conv_gemm_second;
extern CROTON_API const ConvCandidate conv_legacy;
extern CROTON_API const ConvCandidate conv_fft;
extern CROTON_API const ConvCandidate conv_fft_tiling;
extern CROTON_API const ConvCandidate conv_winograd;
extern CROTON_API const ConvCandidate conv_winograd_4x4;
extern CROTON_API const ConvCandidate conv_conv3d2d;
extern CROTON_API const ConvCandidate conv_c01b;
extern CROTON_API const ConvCandidate conv_dnn_graph;
extern CROTON_API const ConvCandidate conv_dnn_b01c;
/// The 2-D convolutions that conv3d2d makes of a problem along three axes.
CROTON_API std::vector<ConvProblem> conv3d2d_parts(const ConvProblem& problem);
/// cuDNN's algorithms, each by itself.
CROTON_API std::span<const ConvCandidate> cudnn_algorithm_candidates();

/// All of them; the order is the default priority.
CROTON_API std::span<const ConvCandidate* const> conv_candidates();

/// Adds an implementation that a program defines, behind the others. It must live as long as the process.
/// Before the first function is made, and before a mode or query names its tag; ValueError when it is too
/// late.
CROTON_API void register_conv_candidate(const ConvCandidate& candidate);

/// The convolution by an op whose operands lie in another layout than bc01, between transpositions.
CROTON_API Variable conv_in_layout(const Op& op, const ConvProblem& problem, const Variable& first,
                                   const Variable& second, const Attributes& attributes);

/// A kernel of one element, stride 1, no padding, one group: a product of matrices for each image.
CROTON_API bool is_matrix_product(const ConvProblem& problem);

/// The terms of one sum of a result: what rounding errors grow with.
CROTON_API std::int64_t conv_terms(const ConvProblem& problem);
/// What ConvCandidate::error is when every sum is made of its products one after the other, in float32
/// (float64 for float64), and rounded to the dtype at the end: partial sums of n terms grow with sqrt(n), so
/// the roundings of all of them together do, relative to the result.
CROTON_API double sequential_error(const ConvProblem& problem);
/// What candidates state that add up a result's products in float32 (float64) and round it once:
/// sequential_error is the usual error of such sums, this what single problems of thousands come near to. It
/// is what float32 allows.
CROTON_API double plain_sum_error(const ConvProblem& problem);
/// The same for libraries, whose order of adding up is theirs.
CROTON_API double library_sum_error(const ConvProblem& problem);
/// The unit roundoff of the arithmetic (float32's for float16 and bfloat16), and of storing a result.
CROTON_API double arithmetic_roundoff(DType dtype);
CROTON_API double storage_roundoff(DType dtype);
/// What the flag precision allows products of float32 to lose by rounding their factors; 0 for other dtypes.
CROTON_API double allowed_factor_roundoff(DType dtype);

}  // namespace croton
