#pragma once

#include <string>
#include <utility>

#include "croton/codegen/lower_context.h"
#include "croton/ops/conv_problem.h"

namespace croton {

/// What lowerings of a convolution have that read their operands from where they lie.
class ConvKernel {
 protected:
  ConvKernel(const LowerContext& context, const ConvProblem& p, std::string name)
      : p_(p),
        context_(context),
        kernel_(context, std::move(name)),
        b_(kernel_.builder()),
        first_(kernel_.input(0)),
        second_(kernel_.input(1)),
        result_(kernel_.output(0)),
        channels_(p.channels / p.groups),
        filters_(p.filters / p.groups) {}

  const ConvProblem& p_;
  const LowerContext& context_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  const Buffer first_, second_, result_;
  const std::int64_t channels_, filters_;  // of a group
};

}  // namespace croton
