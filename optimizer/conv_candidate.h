#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

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

/// An implementation of convolutions. Each is one file, and one entry of conv_candidates().
struct ConvCandidate {
  std::string_view name;
  /// What queries include and exclude it by; the name of the rewrite in the history of the nodes it made.
  std::string_view tag;
  /// It makes machine code for the problem: FAST_COMPILE takes any other that can compute it.
  bool costly = false;
  Support (*support)(const ConvProblem& problem);
  /// Bytes of memory beside operands and result, about.
  std::size_t (*workspace)(const ConvProblem& problem);
  /// The largest error to expect, relative to the largest result of operands of like size.
  double (*error)(const ConvProblem& problem);
  /// The result from the operands of that direction (see ops/conv_implementations.h). `attributes`: those of
  /// the abstract node.
  Variable (*build)(const ConvProblem& problem, const Variable& first, const Variable& second,
                    const Attributes& attributes);
};

extern const ConvCandidate conv_dnn;
extern const ConvCandidate conv_gemm;
extern const ConvCandidate conv_legacy;

/// All of them; the order is the default priority.
std::span<const ConvCandidate* const> conv_candidates();

/// The terms of one sum of a result: what rounding errors grow with.
std::int64_t conv_terms(const ConvProblem& problem);

}  // namespace croton
