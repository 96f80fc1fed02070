#include "croton/graph/text_form.h"

#include <bit>
#include <catch2/catch.hpp>
#include <limits>
#include <random>

#include "croton/graph/error.h"
#include "croton/graph/op.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/subgraph.h"
#include "random_cases.h"

using namespace croton;
using Catch::Matchers::Contains;

namespace {

/// One output a input, of the inputs' types; wants the attribute "tag" where it is called with none left out.
class EchoOp final : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs, const Attributes&) const override {
    if (inputs.empty()) throw TypeError("text_echo needs an operand");
    std::vector<TensorType> types;
    for (const Variable& input : inputs) types.push_back(input.type());
    return types;
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs.begin(), inputs.end()};
  }
};
const EchoOp echo("text_echo");

class PickOp final : public Op {
 public:
  using Op::Op;
  std::vector<TensorType> infer(std::span<const Variable> inputs,
                                const Attributes& attributes) const override {
    return {inputs[static_cast<std::size_t>(attributes.get<std::int64_t>("which"))].type()};
  }
  std::vector<Tensor> evaluate(const Node&, std::span<const Tensor> inputs) const override {
    return {inputs[0]};
  }
};
const PickOp pick("text_pick");

Variable input(DType dtype, const Shape& shape, const char* name) {
  return Variable(Node::make_input({dtype, shape}, name, {}));
}
Attributes which(std::int64_t i) { return Attributes{{"which", i}}; }

/// The text of the graph, which must read back as an equal graph and print as the same text.
std::string round_trip(const TextGraph& graph, const TextOptions& options = {.shared_values = true}) {
  const std::string text = to_text(graph, options);
  INFO(text);
  const TextGraph again = parse_graph(text);
  const auto difference =
      graph_difference(graph, again, {.inner_names = true, .shared_values = options.shared_values});
  INFO(difference.value_or(""));
  CHECK_FALSE(difference.has_value());
  CHECK(to_text(again, options) == text);
  return text;
}

std::string parse_message(std::string_view text, const ParseOptions& options = {}) {
  try {
    parse_graph(text, options);
  } catch (const ParseError& e) {
    return e.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("a graph prints as text and reads back", "[graph][text]") {
  const Variable x = input(DType::float32, {unknown, 3}, "x");
  const Variable n = input(DType::int64, {}, "n");
  const SharedVariable w = shared(Tensor{1.f, 2.f}, "w");
  const Ref<Node> pair = make_node(echo, {x, w});
  Variable cost = apply_op(pick, {pair->output(1), pair->output(0), constant(Tensor(0.5f)), n}, which(1));
  cost.set_name("cost");
  CHECK(round_trip({"train", {x, n}, {cost, pair->output(1)}}) ==
        "graph train(%x: float32[?,3], %n: int64[]) {\n"
        "  shared %w: float32[?] = float32[2](1, 2)\n"
        "  %0, %1 = text_echo(%x, %w) : float32[?,3], float32[?]\n"
        "  %cost = text_pick(%1, %0, float32(0.5), %n) {which=1} : float32[?,3]\n"
        "  return %cost, %1\n"
        "}\n");
}

TEST_CASE("names that are no identifiers or not unique are quoted", "[graph][text]") {
  const Variable a = input(DType::float32, {}, "x"), b = input(DType::float32, {}, "x"),
                 c = input(DType::float32, {}, "a \"b\"\\\n\x01 \xc3\xa9"), d = input(DType::float32, {}, "");
  CHECK(round_trip({"two words", {a, b, c, d}, {d, c, b, a}}) ==
        "graph \"two words\"(%x: float32[], %0 \"x\": float32[], "
        "%1 \"a \\\"b\\\"\\\\\\n\\x01 \xc3\xa9\": float32[], %2: float32[]) {\n"
        "  return %2, %1, %0, %x\n"
        "}\n");
}

TEST_CASE("constants keep every bit", "[graph][text]") {
  const auto check = [](const Tensor& value) { return round_trip({"", {}, {constant(value)}}); };
  const float inf = std::numeric_limits<float>::infinity();
  CHECK(check(Tensor{0.1f, -0.0f, inf, -inf, 1e-45f, 3.4028235e38f, std::bit_cast<float>(0x7fc00000u),
                     std::bit_cast<float>(0xffc00001u)}) ==
        "graph() {\n  return float32[8](0.1, -0, inf, -inf, 1e-45, 3.4028235e+38, nan, nan:0xffc00001)\n}\n");
  CHECK(check(Tensor(0.1)) == "graph() {\n  return float64(0.1)\n}\n");
  CHECK(check(Tensor{true, false, true}) == "graph() {\n  return bool[3](true, false, true)\n}\n");
  CHECK(check(Tensor(std::numeric_limits<std::int64_t>::min())) ==
        "graph() {\n  return int64(-9223372036854775808)\n}\n");
  CHECK(check(Tensor(std::numeric_limits<unsigned long long>::max())) ==
        "graph() {\n  return uint64(18446744073709551615)\n}\n");
  CHECK(check(Tensor::full({1000, 1000}, 0.25f)) == "graph() {\n  return float32[1000,1000](0.25)\n}\n");
  CHECK(check(Tensor::zeros({0, 3})) == "graph() {\n  return float32[0,3]()\n}\n");
  CHECK(check(Tensor::arange(10, DType::int16)) ==
        "graph() {\n  const %0 = int16[10](0, 1, 2, 3, 4, 5, 6, 7, 8, 9)\n  return %0\n}\n");
  CHECK_THAT(check(Tensor::arange(100, DType::uint8)), Contains("const %0 = uint8[100] base64 \"AAECAwQFB"));
  CHECK(check(Tensor::arange(6, DType::float32).reshape({2, 3}).transpose()) ==
        "graph() {\n  return float32[3,2](0, 3, 1, 4, 2, 5)\n}\n");
  // Every bit pattern of the 16-bit types.
  for (const DType dtype : {DType::float16, DType::bfloat16}) {
    Tensor all = Tensor::empty({65536}, dtype);
    for (int i = 0; i < 65536; ++i)
      static_cast<std::uint16_t*>(all.raw_data())[i] = static_cast<std::uint16_t>(i);
    for (std::int64_t i = 0; i < 65536; i += 64) {
      const TextGraph graph{"", {}, {constant(all.slice(0, i, i + 64))}};
      REQUIRE(equal_graphs(graph, parse_graph(to_text(graph))));
    }
  }
}

TEST_CASE("attributes of every kind, graphs inside too, read back", "[graph][text]") {
  const Variable i = input(DType::float32, {}, "i"), j = input(DType::float32, {}, "j");
  const Variable inner = apply_op(pick, {i, constant(Tensor(2.f)), j}, which(2));
  const auto body =
      std::make_shared<const Subgraph>(std::vector<Variable>{i, j}, std::vector<Variable>{inner, i});
  const Variable x = input(DType::float32, {unknown}, "x");
  const Attributes attributes{{"flag", true},
                              {"number", std::int64_t{-3}},
                              {"whole", 2.0},
                              {"real", -0.0},
                              {"nan", std::bit_cast<double>(0x7ff8000000000001ull)},
                              {"infinite", -std::numeric_limits<double>::infinity()},
                              {"word", std::string("half")},
                              {"text", std::string("two words")},
                              {"like_a_dtype", std::string("int8")},
                              {"like_a_bool", std::string("true")},
                              {"dtype", DType::bfloat16},
                              {"list", std::vector<std::int64_t>{1, -2}},
                              {"none", std::vector<std::int64_t>{}},
                              {"an odd name", std::string()},
                              {"body", body}};
  CHECK(round_trip({"", {x}, {apply_op(echo, {x}, attributes)}}) ==
        "graph(%x: float32[?]) {\n"
        "  %0 = text_echo(%x) {\"an odd name\"=\"\", body=graph(%i0: float32[], %i1: float32[]) {\n"
        "    %0 = text_pick(%i0, float32(2), %i1) {which=2} : float32[]\n"
        "    return %0, %i0\n"
        "  }, dtype=bfloat16, flag=true, infinite=-inf, like_a_bool=\"true\", like_a_dtype=\"int8\", "
        "list=[1, -2], nan=nan:0x7ff8000000000001, none=[], number=-3, real=-0.0, text=\"two words\", "
        "whole=2.0, word=half} : float32[?]\n"
        "  return %0\n"
        "}\n");
}

TEST_CASE("locations are the lines of the text unless it says others", "[graph][text]") {
  const TextGraph graph = parse_graph(
      "graph(%x: float32[]) {\n  %0 = text_echo(%x) at \"lenet.cpp\":57\n"
      "  %1 = text_echo(%0) return %1 }",
      {.file = "model.txt"});
  CHECK(describe(graph.outputs[0]) == "text_echo (float32[], made at model.txt:3)");
  CHECK(describe(graph.outputs[0].node()->input(0)) == "text_echo (float32[], made at lenet.cpp:57)");
  CHECK(describe(graph.inputs[0]) == "x (float32[], made at model.txt:1)");
  CHECK_THAT(to_text(graph, {.locations = true}), Contains(" : float32[] at \"lenet.cpp\":57\n"));
  round_trip(graph, {.locations = true});
}

TEST_CASE("inputs in the middle cut the graph", "[graph][text]") {
  const Variable x = input(DType::float32, {}, "x");
  const Variable middle = apply_op(echo, {x});
  const TextGraph graph{"", {middle}, {apply_op(echo, {middle})}};
  CHECK(round_trip(graph) == "graph(%0: float32[]) {\n  %1 = text_echo(%0) : float32[]\n  return %1\n}\n");
}

TEST_CASE("the compiler's graph prints with what rewrote it", "[graph][text]") {
  const Variable x = input(DType::float32, {}, "x");
  const std::vector<Variable> inputs{x}, outputs{apply_op(echo, {x})};
  FunctionGraph graph(inputs, outputs);
  graph.replace(graph.outputs()[0], apply_op(pick, {graph.inputs()[0]}, which(0)), "echo_is_pick");
  const std::string text = to_text(graph, "f", {.rewrites = true});
  CHECK(text ==
        "graph f(%x: float32[]) {\n  %0 = text_pick(%x) {which=0} : float32[]  // by echo_is_pick\n"
        "  return %0\n}\n");
  CHECK(equal_graphs(parse_graph(text), text_graph(graph, "f")));
}

TEST_CASE("differences are named", "[graph][text]") {
  const auto difference = [](std::string_view a, std::string_view b) {
    return graph_difference(parse_graph(a), parse_graph(b)).value_or("equal");
  };
  const char* base =
      "graph(%x: float32[], %y: float32[]) { %0 = text_echo(%x) %1 = text_echo(%0) return %1 }";
  CHECK(difference(base, base) == "equal");
  CHECK_THAT(
      difference(base,
                 "graph(%x: float32[], %y: float32[]) { %0 = text_echo(%y) %1 = text_echo(%0) return %1 }"),
      Contains("used differently elsewhere"));
  CHECK_THAT(
      difference(base,
                 "graph(%x: float32[], %z: float32[]) { %0 = text_echo(%x) %1 = text_echo(%0) return %1 }"),
      Contains("other names"));
  CHECK_THAT(difference(base, "graph(%x: float32[], %y: float32[]) { %0 = text_echo(%x) return %0 }"),
             Contains("of another kind"));
  CHECK_THAT(difference("graph() { return float32(0) }", "graph() { return float32(-0) }"),
             Contains("other values"));
  // A node used twice is not two equal nodes.
  CHECK_THAT(difference("graph(%x: float32[]) { %0 = text_echo(%x) return %0, %0 }",
                        "graph(%x: float32[]) { %0 = text_echo(%x) %1 = text_echo(%x) return %0, %1 }"),
             Contains("used differently elsewhere"));
}

TEST_CASE("random graphs read back as they were", "[graph][text]") {
  std::mt19937 random(7);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  for (int round = 0; round < test::random_cases(200); ++round) {
    std::vector<Variable> known;
    TextGraph graph{below(2) ? "g" : "", {}, {}};
    for (std::size_t i = 0, n = below(4); i < n; ++i) {
      Shape shape;
      for (std::size_t k = below(4); k > 0; --k) shape.push_back(static_cast<std::int64_t>(below(4)) - 1);
      graph.inputs.push_back(input(static_cast<DType>(below(dtype_count - 2)), shape, below(2) ? "x" : ""));
      known.push_back(graph.inputs.back());
    }
    if (below(2)) known.push_back(shared(Tensor::arange(static_cast<double>(below(20))), "w"));
    known.push_back(constant(Tensor::arange(static_cast<double>(below(12)), DType::float64)));
    for (std::size_t i = below(30); i > 0; --i) {
      std::vector<Variable> operands;
      for (std::size_t k = 1 + below(3); k > 0; --k) operands.push_back(known[below(known.size())]);
      const Ref<Node> node =
          make_node(echo, operands, below(3) ? Attributes() : which(static_cast<int>(below(3))));
      for (std::size_t k = 0; k < operands.size(); ++k) {
        Variable output = node->output(k);
        if (below(4) == 0) output.set_name("v" + std::to_string(below(5)));
        known.push_back(output);
      }
    }
    for (std::size_t i = below(4); i > 0; --i) graph.outputs.push_back(known[below(known.size())]);
    round_trip(graph);
  }
}

TEST_CASE("100,000 nodes in a chain are printed, read and compared", "[graph][text]") {
  const Variable x = input(DType::float32, {}, "x");
  TextGraph graph{"", {x}, {x}};
  for (int i = 0; i < 100000; ++i) graph.outputs[0] = apply_op(echo, {graph.outputs[0]});
  const std::string text = to_text(graph);
  CHECK(equal_graphs(graph, parse_graph(text)));
}

TEST_CASE("errors name the place and what may have been meant", "[graph][text][errors]") {
  const auto body = [](std::string_view statement) {
    return "graph(%x: float32[2,3]) {\n  " + std::string(statement) + "\n  return %x\n}\n";
  };
  CHECK(parse_message(body("%0 = text_ecko(%x)")) ==
        "graph:2:8: unknown op 'text_ecko'; did you mean text_echo or text_pick?\n"
        "    %0 = text_ecko(%x)\n"
        "         ^");
  CHECK(parse_message(body("%0 = text_echo(%y)"), {.file = "m.txt"}) ==
        "m.txt:2:18: %y is not defined before this line\n"
        "    %0 = text_echo(%y)\n"
        "                   ^");
  const auto message = [&](std::string_view statement) {
    const std::string text = parse_message(body(statement));
    return text.substr(0, text.find('\n'));
  };
  CHECK(message("%0 = text_echo(%x) : flaot32[2,3]") ==
        "graph:2:24: unknown dtype 'flaot32'; did you mean float32?");
  CHECK(message("%0 = text_echo(%x) : float32[2,4]") ==
        "graph:2:22: text_echo gives float32[2,3], but the text says float32[2,4]");
  CHECK(message("%0, %1 = text_echo(%x)") == "graph:2:3: text_echo has 1 outputs, but the text names 2");
  CHECK(message("%x = text_echo(%x)") == "graph:2:3: %x is defined twice");
  CHECK(message("%0 = text_pick(%x) {wich=0}") ==
        "graph:2:8: text_pick needs the attribute 'which', which 'wich' may stand for");
  CHECK(message("%0 = text_pick(%x) {which=half}") ==
        "graph:2:8: the attribute 'which' of text_pick has a value of the wrong kind");
  CHECK(message("%0 = text_pick(%x) {which=0, which=1}") ==
        "graph:2:32: the attribute 'which' is given twice");
  CHECK(message("%0 = text_echo(%x) {inplace=[0, 1]}") ==
        "graph:2:8: the marks of text_echo name output 0 and operand 1, but it has 1 and 1");
  CHECK(message("%0 = text_echo(%x) {inplace=half}") ==
        "graph:2:8: the attribute 'inplace' of text_echo has a value of the wrong kind");
  CHECK(message("%0 = text_echo()") == "graph:2:8: text_echo needs an operand");
  CHECK(message("%0 = text_echo(%x") == "graph:3:3: expected ',' between operands, or ')', got 'return'");
  CHECK(message("%0 = text_echo(float32[2](1, 2, 3))") ==
        "graph:2:28: a tensor of shape (2,) has 2 elements, but 3 are listed");
  CHECK(message("%0 = text_echo(int8(300))") == "graph:2:23: 300 does not fit into int8");
  CHECK(message("%0 = text_echo(int8(1.5))") == "graph:2:23: '1.5' is no integer");
  CHECK(message("%0 = text_echo(float32(1e99))") == "graph:2:26: 1e99 is outside the range of float32");
  CHECK(message("%0 = text_echo(bool(yes))") == "graph:2:23: 'yes' is neither true nor false");
  CHECK(message("%0 = text_echo(float32[?](1))") ==
        "graph:2:18: every extent of a constant is known: '?' cannot stand here");
  CHECK(message("%0 = text_echo(float32[100000,100000](1))") ==
        "graph:2:18: the constant takes more than 4294967296 bytes");
  CHECK(message("%0 = text_echo(float32[0,4611686018427387904,8]())") ==
        "graph:2:18: the constant takes more than 4294967296 bytes");
  CHECK(
      message("%0 = text_echo(complex64[1] base64 \"AAAAAAAAAAA=\")") ==
      "graph:2:18: complex constants are not supported: write the real and imaginary parts as two constants");
  CHECK(message("%0 = text_echo(uint8[2] base64 \"AA\")") ==
        "graph:2:34: uint8[2] needs 4 characters of base64, these are 2");
  CHECK(message("%0 = text_echo(uint8[2] base64 \"A-A=\")") ==
        "graph:2:34: this is not base64 (A-Z a-z 0-9 + /, padded with =)");
  CHECK(message("shard %w: float32[2]") == "graph:2:3: unknown statement 'shard'; did you mean shared?");
  CHECK(message("shared %w: float32[2] = float32[3](0)") ==
        "graph:2:27: the value is float32[3], but the shared variable is float32[2]");
  CHECK(message("%0 \"a = text_echo(%x)") == "graph:2:6: this text lacks its closing quote");
  CHECK(message("%0 = text_echo(%x) : float32[1,1,1,1,1,1,1,1,1]") ==
        "graph:2:48: a tensor has at most 8 axes");
  CHECK(parse_message("graph() { return } x").substr(0, 70) ==
        "graph:1:20: expected the end of the text behind the graph, got 'x'\n  g");
  CHECK(parse_message("").substr(0, 55) == "graph:1:1: expected 'graph', got the end of the text\n  ");
  std::string nested;
  for (int i = 0; i < 40; ++i) nested += "graph(%x: float32[]) { %0 = text_echo(%x) {body=";
  CHECK_THAT(parse_message(nested), Contains("graphs are nested more than 32 deep"));
}

TEST_CASE("a shared variable may come without a value", "[graph][text]") {
  const TextGraph graph = parse_graph("graph() { shared %w: float32[?] return %w }");
  SharedVariable w(graph.outputs[0]);
  CHECK(w.name() == "w");
  CHECK_FALSE(w.get_value(true).defined());
  w.set_value(Tensor{1.f, 2.f});
  CHECK(w.get_value().size() == 2);
}

TEST_CASE("updates of shared variables are part of the text", "[graph][text]") {
  const TextGraph graph = parse_graph(R"(
    graph step(%x: float32[3]) {
      shared %w: float32[3] = float32[3](1)
      shared %unread: float32[?]
      %0 = tanh(%x)
      return %0
      update %w = %0
      update %unread = %x
    })");
  REQUIRE(graph.updates.size() == 2);
  CHECK(graph.updates[0].first.name() == "w");
  CHECK(graph.updates[0].second == graph.outputs[0]);
  CHECK(graph.updates[1].second == graph.inputs[0]);
  CHECK(graph.results().size() == 3);
  round_trip(graph);
  TextGraph other = graph;
  other.updates.pop_back();
  CHECK(graph_difference(graph, other) == "2 updates against 1");
  other = graph;
  std::swap(other.updates[0].second, other.updates[1].second);
  CHECK_FALSE(equal_graphs(graph, other));
  // An input in the middle of the graph cuts what the updates need, too.
  const TextGraph cut = cut_at_inputs({"", {graph.outputs[0]}, {}, {graph.updates[0]}});
  CHECK(cut.updates[0].second == cut.inputs[0]);

  const auto complaint = [](const char* text) {
    try {
      parse_graph(text);
    } catch (const ParseError& e) {
      return std::string(e.what());
    }
    return std::string();
  };
  CHECK_THAT(complaint("graph(%x: float32[3]) { return update %x = %x }"),
             Catch::Contains("only shared variables have new values"));
  CHECK_THAT(complaint("graph(%x: int32[3]) { shared %w: float32[3] return update %w = %x }"),
             Catch::Contains("the new value is int32[3], but the shared variable is float32[3]"));
  CHECK_THAT(
      complaint("graph(%x: float32[3]) { shared %w: float32[3] return update %w = %x update %w = %x }"),
      Catch::Contains("has a new value already"));
}
