#include "croton/graph/type.h"

#include <fmt/format.h>

#include <array>

namespace croton {

std::string to_string(const TensorType& type) {
  std::string text(name_of(type.dtype));
  text += '[';
  for (std::size_t i = 0; i < type.shape.size(); ++i) {
    if (i > 0) text += ',';
    text += type.shape[i] == unknown ? std::string("?") : fmt::format("{}", type.shape[i]);
  }
  text += ']';
  if (!type.device.is_host()) text += '@' + to_string(type.device);
  return text;
}

std::string theano_name(const TensorType& type) {
  static constexpr std::array<std::string_view, 3> plain = {"scalar", "vector", "matrix"};
  const auto rank = static_cast<std::size_t>(type.rank());
  int ones = 0;
  for (std::int64_t extent : type.shape) ones += extent == 1;
  std::string kind;
  if (ones == 0) {
    kind = rank < plain.size() ? std::string(plain[rank]) : fmt::format("{}D", rank);
  } else if (rank == 2 && ones == 1) {
    kind = type.broadcastable(0) ? "row" : "col";
  } else {
    kind = "(";
    for (std::size_t i = 0; i < rank; ++i) {
      if (i > 0) kind += ", ";
      kind += type.shape[i] == 1 ? "True" : "False";
    }
    kind += rank == 1 ? ",)" : ")";
  }
  const std::string name = type.device.is_host() ? std::string("TensorType")
                                                 : fmt::format("GpuArrayType<{}>", to_string(type.device));
  return fmt::format("{}({}, {})", name, name_of(type.dtype), kind);
}

bool compatible(const TensorType& a, const TensorType& b) {
  if (a.dtype != b.dtype || a.rank() != b.rank()) return false;
  for (std::size_t i = 0; i < a.shape.size(); ++i) {
    if (a.shape[i] != b.shape[i] && a.shape[i] != unknown && b.shape[i] != unknown) return false;
  }
  return true;
}

TensorType refine(const TensorType& inferred, const TensorType& known) {
  TensorType type = inferred;
  if (inferred.rank() == known.rank()) {
    for (std::size_t i = 0; i < type.shape.size(); ++i) {
      if (type.shape[i] == unknown) type.shape[i] = known.shape[i];
    }
  }
  return type;
}

}  // namespace croton
