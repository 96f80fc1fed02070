#include "croton/graph/text.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "croton/graph/subgraph.h"

namespace croton {

std::string to_string(const AttributeValue& value) {
  struct Print {
    std::string operator()(bool v) const { return v ? "true" : "false"; }
    std::string operator()(std::int64_t v) const { return fmt::format("{}", v); }
    std::string operator()(double v) const { return fmt::format("{}", v); }
    std::string operator()(const std::string& v) const { return v; }
    std::string operator()(DType v) const { return std::string(name_of(v)); }
    std::string operator()(const std::vector<std::int64_t>& v) const {
      return fmt::format("[{}]", fmt::join(v, ", "));
    }
    std::string operator()(const std::shared_ptr<const Subgraph>& v) const {
      return fmt::format("graph of {} nodes", v->nodes().size());
    }
  };
  return std::visit(Print{}, value);
}

}  // namespace croton
