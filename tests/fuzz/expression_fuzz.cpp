/// Expressions over fixed inputs: any bytes give an error that is the user's, or a graph.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "croton/graph/error.h"
#include "croton/ops/expression.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using croton::Variable;
  static const std::vector<Variable> inputs = croton::parse_declarations(
      "x: float32[3,4], y: matrix, b: vector, n: lscalar, k: lvector, w: float32[8,3,?,?]");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const bool declarations : {false, true}) {
    try {
      declarations ? croton::parse_declarations(text) : croton::parse_expression(text, inputs);
    } catch (const croton::InternalError& e) {
      std::fprintf(stderr, "%s\n", e.what());
      std::abort();
    } catch (const croton::Error&) {
    }
  }
  return 0;
}
