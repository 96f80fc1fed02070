// The text form over the ops that there are: every one of them prints and reads back.

#include <catch2/catch.hpp>
#include <random>
#include <set>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/graph/text_form.h"
#include "croton/ops/composite.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/expression.h"
#include "random_cases.h"

using namespace croton;

namespace {

void check_round_trip(const TextGraph& graph) {
  const std::string text = to_text(graph);
  INFO(text);
  const auto difference = graph_difference(graph, parse_graph(text), {.inner_names = true});
  INFO(difference.value_or(""));
  CHECK_FALSE(difference.has_value());
}

/// The ops that a list of expressions and their gradients need.
std::set<std::string> ops_of(const TextGraph& graph) {
  std::set<std::string> names;
  for (const Node* node : topological_order(graph.outputs)) names.insert(node->op().name());
  return names;
}

const char* const expressions[] = {
    "softmax(dot(x, y) + b)",
    "log_softmax(x, axis=0)",
    "grad(categorical_crossentropy(softmax(x), k).sum(), x)",
    "grad(mean(log_softmax(x)), x)",
    "conv2d(v, w, border_mode=((1, 2), (0, 1)), subsample=(2, 1), filter_flip=false, version='no_fft')",
    "conv2d(v, w, border_mode='half', filter_dilation=(2, 2), unroll_batch=2, openmp=true)",
    "grad(conv2d(v, w, num_groups=1).sum(), [v, w])",
    "pool_2d(v, (3, 2), stride=(2, 2), mode='average_exc_pad', pad=(1, 1))",
    "grad(grad(pool_2d(v, (2, 2)).sum(), v).sum(), v, disconnected_inputs='ignore')",
    "x[1:-1, ::2][n:, 0], set_subtensor(x[0], b), inc_subtensor(x[:, n], 1)",
    "x.reshape(x.shape[0], -1, 1), x.dimshuffle(1, 'x', 0), x.flatten(), specify_shape(x, (3, none)), "
    "contiguous(x.T)",
    "join(0, x, y), stack([x, x]), split(x, [1, 3], axis=1), tile(b, (2,)), arange(n), zeros((n, 3)), "
    "make_vector(n, "
    "3)",
    "sum(x, axis=0), prod(x), max(x, axis=(0, 1)), min(x), any(x > 0), all(x > 0), argmax(x, axis=1), "
    "argmin(x)",
    "mean(x), var(x, axis=0), std_dev(x), norm(x, 2), ptp(x)",
    "grad(sum(exp(x) * max(x, axis=0)), x)",
    "grad_clip(x, -1, 1), grad_scale(x, 0.5), cast(x, 'float64'), cast(x, bfloat16)",
    "tensordot(v, v, axes=[[0, 1], [0, 1]]), outer(b, b)",
    "x * nan, x + inf, x - -0.0",
};

}  // namespace

TEST_CASE("expressions over every function read back as text", "[ops][text]") {
  const std::vector<Variable> inputs = parse_declarations(
      "x: float32[3,4], y: float32[4,4], b: float32[4], k: lvector, n: lscalar, v: float32[2,3,8,8], w: "
      "float32[3,3,3,3]");
  std::set<std::string> seen;
  for (const char* expression : expressions) {
    INFO(expression);
    const TextGraph graph{"", inputs, parse_expression(expression, inputs)};
    check_round_trip(graph);
    seen.merge(ops_of(graph));
  }
  CHECK(seen.size() > 40);
}

TEST_CASE("every elementwise row reads back as text", "[ops][text]") {
  for (const ElementwiseOp* op : elementwise_ops()) {
    if (op->row().rule == DTypeRule::cast) continue;
    INFO(op->row().name);
    const bool discrete = op->row().rule == DTypeRule::bitwise || op->row().rule == DTypeRule::shift;
    const auto inputs = parse_declarations(discrete ? "a: lmatrix, b: lvector, c: lscalar"
                                                    : "a: fmatrix, b: fvector, c: fscalar");
    std::vector<Operand> operands;
    for (int i = 0; i < op->row().arity; ++i) operands.emplace_back(inputs[static_cast<std::size_t>(i)]);
    if (op->row().name == "grad_clip" || op->row().name == "grad_scale")
      continue;  // made with attributes: above
    check_round_trip({"f", inputs, {apply_elementwise(*op, operands)}});
  }
}

TEST_CASE("fused nodes read back with their bodies", "[ops][text]") {
  const auto inputs = parse_declarations("x: float32[?,4], y: float32[?,4], s: float32[?]");
  const auto scalars = parse_declarations("i: float32[], j: float32[]");
  const auto body =
      std::make_shared<const Subgraph>(scalars, parse_expression("tanh(i + j) * 0.5, i", scalars));
  const Ref<Node> composite = make_composite(body, {inputs[0], inputs[1]});
  check_round_trip({"", inputs, {composite->output(0), composite->output(1)}});
  const auto product = std::make_shared<const Subgraph>(scalars, parse_expression("i * j", scalars));
  const auto epilogue = std::make_shared<const Subgraph>(scalars, parse_expression("sqrt(i) + j", scalars));
  const Ref<Node> reduce =
      make_composite_reduce({product, "sum", {1}, epilogue}, {inputs[0], inputs[1], inputs[2]});
  check_round_trip({"", inputs, {reduce->output(0)}});
}

TEST_CASE("random graphs of ops read back as text", "[ops][text]") {
  const std::vector<Variable> inputs =
      parse_declarations("x: fmatrix, y: fmatrix, b: fvector, z: dmatrix, c: float32[1,1]");
  std::mt19937 random(11);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (int round = 0; round < test::random_cases(300); ++round) {
    std::vector<Variable> known = inputs;
    for (std::size_t size = below(40); known.size() < inputs.size() + size;) {
      const Variable &a = known[below(known.size())], &b = known[below(known.size())];
      static constexpr const char* steps[] = {"p + q",      "p * q - 2",
                                              "tanh(p)",    "p.T",
                                              "sum(p)",     "p.dimshuffle('x', 0)",
                                              "p / q",      "maximum(p, q, 0.5)",
                                              "p.max(0)",   "switch(p > q, p, q)",
                                              "p[0]",       "dot(p, q)",
                                              "softmax(p)", "cast(p, 'float64')",
                                              "p[::-1]",    "p.reshape(-1)"};
      Variable p = a, q = b;
      const std::string text = steps[below(std::size(steps))];
      // Names p and q are bound through declarations of the same types, then replaced by the graph so far.
      const std::vector<Variable> names{Variable(Node::make_input(p.type(), "p", {})),
                                        Variable(Node::make_input(q.type(), "q", {}))};
      try {
        const std::vector<Variable> made = parse_expression(text, names);
        const std::vector<Variable> placed = clone(made, {{names[0], p}, {names[1], q}});
        if (placed[0].rank() <= 4) known.push_back(placed[0]);
      } catch (const Error&) {
        // Shapes or dtypes that do not fit: another draw.
      }
    }
    check_round_trip({"g", inputs, {known[below(known.size())], known[below(known.size())], known.back()}});
  }
}
