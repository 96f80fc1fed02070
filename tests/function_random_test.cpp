#include <catch2/catch.hpp>

#include "croton/graph/text_form.h"
#include "croton/ops/evaluate.h"
#include "croton/runtime/function.h"
#include "random_cases.h"
#include "random_graphs.h"
#include "rewrite_cases.h"

using namespace croton;
using namespace croton::test;

// Everything together: rewriting, fusion, in-place computation, generated code, plans.
TEST_CASE("compiled random graphs compute what the reference does", "[function][random]") {
  for (int seed = 0; seed < random_cases(60); ++seed) {
    std::mt19937_64 random(static_cast<std::uint64_t>(seed) + 9000);
    const RandomGraph made = random_graph(random, 5 + seed % 40, seed % 2 == 0);
    INFO("seed " << seed << "\n" << to_text(made.outputs));
    const auto values = random_values(made.inputs, -1, 1, random);
    const std::vector<Tensor> wanted = evaluate(made.outputs, values);
    std::vector<Tensor> arguments;
    for (const Variable& input : made.inputs) arguments.push_back(values.at(input));
    for (const char* mode : {"FAST_RUN", "FAST_COMPILE", "None"}) {
      INFO(mode);
      const Function f = function({made.inputs.begin(), made.inputs.end()}, made.outputs,
                                  {.mode = Mode(mode), .on_unused_input = OnUnusedInput::ignore});
      const Outputs got = f.call_all(arguments);
      for (std::size_t i = 0; i < wanted.size(); ++i) {
        INFO("output " << i << " reference\n" << wanted[i] << "\ncompiled\n" << got[i]);
        CHECK(wanted[i].dtype() == got[i].dtype());
        CHECK(allclose(got[i], wanted[i], 1e-6, 1e-8, true));
      }
    }
  }
}
