#include "croton/graph/debugprint.h"

#include <catch2/catch.hpp>
#include <sstream>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"

using namespace croton;

namespace {

class LabelOp final : public Op {
 public:
  LabelOp(std::string_view name, int outputs) : Op(name), outputs_(outputs) {}
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    return std::vector<TensorType>(static_cast<std::size_t>(outputs_), inputs[0].type());
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs[0]};
  }
  std::vector<std::pair<int, int>> view_map(const Node& node) const override {
    return outputs_ > 1 ? Op::view_map(node) : std::vector<std::pair<int, int>>{{0, 0}};
  }

 private:
  int outputs_;
};
const LabelOp one("Debug1", 1);
const LabelOp two("Debug2", 2);

Variable input(const char* name) {
  return Variable(Node::make_input({DType::float32, {unknown, unknown}}, name, {}));
}

}  // namespace

TEST_CASE("debugprint draws Theano's tree", "[graph][debugprint]") {
  const Variable x = input("x"), y = input("");
  const Variable a = apply_op(one, {x});
  Variable b = apply_op(one, {a, y, a});
  b.set_name("b");
  const Variable c = apply_op(one, {b, constant(Tensor(0.5f)), a});
  CHECK(debugprint_text({c}) ==
        "Debug1 [@A] ''   \n"
        " |Debug1 [@B] 'b'   \n"
        " | |Debug1 [@C] ''   \n"
        " | | |x [@D]\n"
        " | |<TensorType(float32, matrix)> [@E]\n"
        " | |Debug1 [@C] ''   \n"
        " |TensorConstant{0.5} [@F]\n"
        " |Debug1 [@C] ''   \n");

  SECTION("options") {
    CHECK(debugprint_text({c}, {.depth = 0}).empty());
    CHECK(debugprint_text({c}, {.depth = 1}) == "Debug1 [@A] ''   \n");
    CHECK_THROWS_AS(debugprint_text({c}, {.depth = -2}), ValueError);
    CHECK(debugprint_text({c}, {.depth = 2, .print_type = true, .ids = DebugprintIds::id}) ==
          "Debug1 [id A] <TensorType(float32, matrix)> ''   \n"
          " |Debug1 [id B] <TensorType(float32, matrix)> 'b'   \n"
          " |TensorConstant{0.5} [id C] <TensorType(float32, scalar)>\n"
          " |Debug1 [id D] <TensorType(float32, matrix)> ''   \n");
    CHECK(debugprint_text({c}, {.ids = DebugprintIds::number, .stop_on_name = true}) ==
          "Debug1 [@0] ''   \n"
          " |Debug1 [@1] 'b'   \n"
          " |TensorConstant{0.5} [@2]\n"
          " |Debug1 [@3] ''   \n"
          "   |x [@4]\n");
    CHECK(debugprint_text({b}, {.depth = 1, .ids = DebugprintIds::none, .print_view_map = true}) ==
          "Debug1  'b'  v={0: [0]} \n");
  }
  SECTION("several calls share what was printed") {
    DebugprintDone done;
    CHECK(debugprint_text({a}, {.done = &done}) == "Debug1 [@A] ''   \n |x [@B]\n");
    CHECK(debugprint_text({b}, {.done = &done}) ==
          "Debug1 [@C] 'b'   \n |Debug1 [@A] ''   \n |<TensorType(float32, matrix)> [@D]\n |Debug1 [@A] ''   "
          "\n");
  }
  SECTION("to a stream") {
    std::ostringstream stream;
    debugprint(a, {.file = &stream});
    CHECK(stream.str() == "Debug1 [@A] ''   \n |x [@B]\n");
    CHECK_THROWS_AS(debugprint(Variable(), {.file = &stream}), TypeError);
  }
}

TEST_CASE("debugprint of the compiler's graph has the order of computation", "[graph][debugprint]") {
  const Variable x = input("x");
  const Ref<Node> pair = make_node(two, {x});
  const Attributes in_place{{"inplace", std::vector<std::int64_t>{0, 1}}};
  const std::vector<Variable> inputs{x}, outputs{apply_op(one, {pair->output(1), pair->output(0)}, in_place)};
  FunctionGraph graph(inputs, outputs);
  CHECK(debugprint_text(graph, {.print_destroy_map = true}) ==
        "Debug1{inplace=[0, 1]} [@A] '' d={0: [1]}  1\n"
        " |Debug2.1 [@B] ''   0\n"
        " | |x [@C]\n"
        " |Debug2.0 [@B] ''   0\n");
  graph.replace(graph.outputs()[0], apply_op(one, {graph.inputs()[0]}), "simpler");
  CHECK(debugprint_text(graph, {.depth = 1, .print_rewrites = true}) == "Debug1 [@A] ''   0 by simpler\n");
}

TEST_CASE("debugprint letters go on after Z with BA", "[graph][debugprint]") {
  Variable v = input("x");
  for (int i = 0; i < 27; ++i) v = apply_op(one, {v});
  const std::string text = debugprint_text({v});
  CHECK(text.find("[@Z]") != std::string::npos);
  CHECK(text.find("Debug1 [@BA] ''   \n") != std::string::npos);
  CHECK(text.find("x [@BB]\n") != std::string::npos);
}

TEST_CASE("debugprint shows constants and shared variables", "[graph][debugprint]") {
  CHECK(leaf_text(constant(Tensor{1.f, 2.f, 3.f})) == "TensorConstant{[1. 2. 3.]}");
  CHECK(leaf_text(constant(Tensor::full({1, 3}, 2.f))) == "TensorConstant{(1, 3) of 2.0}");
  CHECK(leaf_text(constant(Tensor::arange(100, DType::int64))) == "TensorConstant{[ 0  1  2 .. 97 98 99]}");
  CHECK(leaf_text(shared(Tensor{1.f}, "w")) == "w");
  CHECK(leaf_text(shared(Tensor{1.f})) == "<TensorType(float32, vector)>");
}

TEST_CASE("debugprint of 100,000 nodes in a chain stays linear", "[graph][debugprint]") {
  Variable v = input("x");
  for (int i = 0; i < 100000; ++i) v = apply_op(one, {v});
  const std::string text = debugprint_text({v});
  CHECK(text.size() < 6000000);
  CHECK(text.find(" ...100000 |x [@") != std::string::npos);
}
