#include "croton/ops/conv_arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "croton/graph/error.h"
#include "croton/graph/tensor.h"
#include "croton/ops/cudnn_algorithm.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/shape_ops.h"

namespace croton {

namespace {

constexpr std::string_view implementation_names[] = {"dnn", "gemm", "legacy", "fft", "winograd", "c01b"};

}  // namespace

bool is_implementation_name(std::string_view name) {
  return std::ranges::find(implementation_names, name) != std::end(implementation_names) ||
         !cudnn_algorithm_in(name).empty();
}

Attributes gradient_attributes(const Attributes& attributes) {
  const bool has_algorithm = !cudnn_algorithm_in(attributes.get_or<std::string>("version", "")).empty();
  return has_algorithm ? attributes.with("version", std::string("dnn")) : attributes;
}

std::pair<Variable, Variable> floating_pair(const Operand& a, const Operand& b) {
  const std::vector<Operand> operands = {a, b};
  DType dtype = promoted_dtype(operands);
  if (!is_floating(dtype)) dtype = float_x();
  return {as_dtype(a, dtype), as_dtype(b, dtype)};
}

Variable with_shape_hint(const Variable& x, const std::optional<Shape>& hint, const char* function,
                         const char* name) {
  if (!hint) return x;
  if (hint->rank() != x.rank()) {
    throw ValueError(fmt::format("{}: {} {} has {} entries, {} has rank {}", function, name, to_string(*hint),
                                 hint->rank(), describe(x), x.rank()));
  }
  if (!compatible(x.type(), {x.dtype(), *hint})) {
    throw ShapeError(
        fmt::format("{}: {} says {}, but the operand is {}", function, name, to_string(*hint), describe(x)));
  }
  bool tells = false;
  for (std::size_t i = 0; i < hint->size(); ++i) {
    tells = tells || ((*hint)[i] != unknown && x.type().shape[i] == unknown);
  }
  return tells ? specify_shape(x, *hint) : x;
}

std::vector<Variable> with_extents(const Variable& a, const Variable& b, const std::vector<Operand>& shape,
                                   std::size_t entries, const char* name) {
  if (shape.size() != entries)
    throw ValueError(fmt::format("{} has {} entries; it needs {}", name, shape.size(), entries));
  std::vector<Variable> inputs = {a, b};
  const std::ptrdiff_t axes = entries == 5 ? 3 : 2;  // unshared filters have 6 entries
  const SymbolicShape extents(std::vector<Operand>(shape.end() - axes, shape.end()));
  inputs.insert(inputs.end(), extents.extents().begin(), extents.extents().end());
  return inputs;
}

Variable with_leading_extents(const Variable& gradient, const std::vector<Operand>& shape,
                              const char* function, const char* name) {
  Shape hint = Shape::filled(gradient.rank(), unknown);
  for (std::size_t i = 0; i < 2; ++i) {
    const Variable& extent = shape[i].variable();
    if (extent.is_constant()) hint[i] = extent.constant_value().item<std::int64_t>();
  }
  return with_shape_hint(gradient, hint, function, name);
}

Attributes with_conv_version(const Attributes& attributes, const std::string& version, const char* function) {
  if (version.empty()) return attributes;
  if (version != "no_fft" && !is_implementation_name(version)) {
    throw ValueError(
        fmt::format("{}: version '{}' is not known; there are no_fft, {} and dnn_ with an "
                    "algorithm of cuDNN ({}, {})",
                    function, version, fmt::join(implementation_names, ", "),
                    fmt::join(cudnn_algorithm_names(), ", "), fmt::join(cudnn_selection_names(), ", ")));
  }
  return attributes.with("version", version);
}

}  // namespace croton
