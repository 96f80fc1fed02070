#include <algorithm>
#include <limits>

#include "croton/codegen/lower_reduce_nest.h"
#include "croton/graph/error.h"
#include "croton/ops/composite.h"
#include "croton/ops/reduce.h"

namespace croton {

ReduceNest::ReduceNest(const LowerContext& context, const Reduction& reduction, std::string name)
    : context_(context), reduction_(reduction), kernel_(context, std::move(name)), b_(kernel_.builder()) {
  split_axes();
  for (std::size_t i = 0; i < context.inputs.size(); ++i) inputs_.push_back(kernel_.input(i));
  for (std::size_t i = 0; i < context.outputs.size(); ++i) outputs_.push_back(kernel_.output(i));
}

NodeCode ReduceNest::lower() {
  if (context_.is_gpu()) {
    lower_on_gpu();
  } else {
    lower_on_cpu();
  }
  return kernel_.finish();
}

void ReduceNest::split_axes() {
  const Shape& full = context_.inputs[0].shape;
  const std::span<const Layout> full_inputs = context_.inputs.first(reduction_.full_inputs);
  Shape shape = full;
  for (const Layout& input : full_inputs) {
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      if (shape[axis] == 1) shape[axis] = input.shape[axis];
    }
  }
  const IterationSpace all = iterate(shape, full_inputs);
  std::vector<std::size_t> kept, reduced;
  for (std::size_t axis = 0; axis < shape.size(); ++axis) {
    (std::ranges::count(reduction_.axes, static_cast<std::int64_t>(axis)) != 0 ? reduced : kept)
        .push_back(axis);
  }
  reduced_ = all.only(reduced);
  kept_ = all.only(kept);
  // The kept loops also move the other inputs and the outputs.
  Shape result;
  for (std::size_t axis : kept) result.push_back(shape[axis]);
  std::vector<Layout> others(context_.inputs.begin() + static_cast<std::ptrdiff_t>(reduction_.full_inputs),
                             context_.inputs.end());
  others.insert(others.end(), context_.outputs.begin(), context_.outputs.end());
  const IterationSpace rest = iterate(result, others);
  kept_.strides.insert(kept_.strides.end(), rest.strides.begin(), rest.strides.end());
  // The input that is read most decides along which loop memory is walked.
  std::int64_t most = -1;
  for (std::size_t i = 0; i < full_inputs.size(); ++i) {
    if (full_inputs[i].shape.count() > most) {
      most = full_inputs[i].shape.count();
      leader_ = i;
    }
  }
  reduced_.simplify(/*reorder=*/true, leader_);
  kept_.simplify(/*reorder=*/true, leader_);
}

std::vector<ScalarValue> ReduceNest::element(std::span<const Index> kept, std::span<const Index> reduced) {
  std::vector<ScalarValue> loaded;
  for (std::size_t i = 0; i < reduction_.full_inputs; ++i) {
    loaded.push_back(b_.load(inputs_[i], offset_of(kept_, i, kept) + offset_of(reduced_, i, reduced)));
  }
  std::vector<ScalarValue> values = reduction_.element(b_, loaded);
  for (std::size_t v = 0; v < values.size(); ++v) {
    if (values[v].dtype != reduction_.folds[v].dtype)
      values[v] = b_.cast(values[v], reduction_.folds[v].dtype);
  }
  return values;
}

void ReduceNest::finish(std::span<const Index> kept, std::span<const ScalarValue> folded) {
  std::vector<ScalarValue> values(folded.begin(), folded.end());
  for (std::size_t i = reduction_.full_inputs; i < inputs_.size(); ++i) {
    values.push_back(b_.load(inputs_[i], offset_of(kept_, i, kept)));
  }
  const std::vector<ScalarValue> results = reduction_.finish(b_, values);
  for (std::size_t i = 0; i < outputs_.size(); ++i) {
    b_.store(outputs_[i], offset_of(kept_, inputs_.size() + i, kept), results[i]);
  }
}

std::vector<Local> ReduceNest::locals(const char* name) {
  std::vector<Local> list;
  for (const Fold& fold : reduction_.folds) list.push_back(b_.local(name, first_value(b_, fold)));
  return list;
}

void ReduceNest::fold_into(const std::vector<Local>& into, std::span<const ScalarValue> values) {
  for (std::size_t v = 0; v < values.size(); ++v) b_.reduce(reduction_.folds[v].combine, into[v], values[v]);
}

std::vector<ScalarValue> ReduceNest::values_of(const std::vector<Local>& list) {
  std::vector<ScalarValue> values;
  for (const Local& local : list) values.push_back(b_.get(local));
  return values;
}

std::vector<Buffer> ReduceNest::partials(std::int64_t count) {
  std::vector<Buffer> buffers;
  for (const Fold& fold : reduction_.folds) buffers.push_back(kernel_.scratch(fold.dtype, count));
  return buffers;
}

namespace {

/// An extreme of nothing is an error that the reference evaluator words.
bool is_extreme_of_nothing(const LowerContext& context, const Reduction& reduction, bool has_identity) {
  if (has_identity) return false;
  return std::ranges::any_of(reduction.axes, [&](std::int64_t axis) {
    return std::ranges::any_of(context.inputs.first(reduction.full_inputs), [&](const Layout& input) {
      return input.shape[static_cast<std::size_t>(axis)] == 0;
    });
  });
}

}  // namespace

std::optional<NodeCode> lower_reduce(const LowerContext& context) {
  const ReduceRow& row = as_reduce(context.node.op())->row();
  Reduction reduction;
  reduction.full_inputs = 1;
  reduction.axes = context.node.attributes().get<std::vector<std::int64_t>>("axes");
  reduction.folds = {{row.combine, compute_dtype(row.result(context.inputs[0].dtype))}};
  reduction.element = [](KernelBuilder&, std::span<const ScalarValue> in) {
    return std::vector<ScalarValue>{in[0]};
  };
  reduction.finish = reduction.element;
  if (is_extreme_of_nothing(context, reduction, row.has_identity)) return std::nullopt;
  return ReduceNest(context, reduction, std::string(row.name)).lower();
}

std::optional<NodeCode> lower_composite_reduce(const LowerContext& context) {
  const CompositeReduce parts = composite_reduce_parts(context.node);
  const ReduceRow& row = find_reduce(parts.op)->row();
  Reduction reduction;
  reduction.full_inputs = parts.body->inputs().size();
  reduction.axes = parts.axes;
  for (const Variable& value : parts.body->outputs()) {
    reduction.folds.push_back({row.combine, compute_dtype(row.result(value.dtype()))});
  }
  reduction.element = [&](KernelBuilder& b, std::span<const ScalarValue> in) {
    return emit_body(b, *parts.body, in);
  };
  reduction.finish = [&](KernelBuilder& b, std::span<const ScalarValue> in) {
    if (parts.epilogue == nullptr) return std::vector<ScalarValue>(in.begin(), in.end());
    return emit_body(b, *parts.epilogue, in);
  };
  if (is_extreme_of_nothing(context, reduction, row.has_identity)) return std::nullopt;
  return ReduceNest(context, reduction, "composite_" + parts.op).lower();
}

ScalarValue first_value(KernelBuilder& b, const Fold& fold) {
  const DType t = fold.dtype;
  switch (fold.combine) {
    case ScalarOp::mul:
      return is_floating(t) ? b.constant(1, t) : b.integer_constant(1, t);
    case ScalarOp::bit_and:
      return b.integer_constant(is_bool(t) ? 1 : -1, t);
    case ScalarOp::max:
    case ScalarOp::min: {
      const bool is_max = fold.combine == ScalarOp::max;
      if (is_floating(t)) {
        const double infinity = std::numeric_limits<double>::infinity();
        return b.constant(is_max ? -infinity : infinity, t);
      }
      return visit_dtype(t, [&](auto tag) {
        using T = typename decltype(tag)::type;
        using Limits = std::numeric_limits<T>;
        return b.integer_constant(static_cast<std::int64_t>(is_max ? Limits::lowest() : Limits::max()), t);
      });
    }
    default:
      return is_floating(t) ? b.constant(0, t) : b.integer_constant(0, t);
  }
}

}  // namespace croton
