// The commands that explain a graph: why, why-not, debugprint with all its options, lint.

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <string>

#include "croton/graph/op.h"
#include "croton/graph/text_form.h"
#include "croton/ops/elementwise_functions.h"
#include "places.h"
#include "tool_run.h"

using namespace croton;
using namespace croton_tool;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

namespace {

const char* const network =
    "--inputs 'X: matrix, W1: matrix, b1: vector, W2: matrix, b2: vector' "
    "-e 'softmax(dot(tanh(dot(X, W1) + b1), W2) + b2)'";

const char* const shapes = " --shapes 'x=[500,784], y=[500]' ";

/// The training step of LeNet, as the example writes it.
const std::string& lenet() {
  static const std::string file = [] {
    const std::string name = path("lenet.croton");
    const std::string command = "'" + test::program("lenet").string() + "' --graph '" + name + "'";
    REQUIRE(std::system(command.c_str()) == 0);
    return name;
  }();
  return file;
}

std::size_t lines(const std::string& text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n'));
}

/// A chain of tanh as a file of the text form.
void write_chain(const std::string& name, int nodes) {
  std::string text = "graph(%x: float32[?]) {\n";
  for (int i = 0; i < nodes; ++i)
    text += "  %" + std::to_string(i) + " = tanh(%" + (i == 0 ? "x" : std::to_string(i - 1)) + ")\n";
  write(name, text + "  return %" + std::to_string(nodes - 1) + "\n}\n");
}

}  // namespace

TEST_CASE("croton why tells which rewrites made a node", "[tools][why][cpu]") {
  const std::string story = output_of(std::string("why --node C ") + network);
  CHECK_THAT(story, StartsWith("[@C] Elemwise{Composite{tanh((i0 + i1))}}[(0, 0)]"));
  CHECK_THAT(story, Contains("by fusion") && Contains("tanh((#1 + #2))") &&
                        Contains("where #1 = Dot22(X, W1)") && Contains("by inplace"));
  const std::string all = output_of(std::string("why ") + network);
  CHECK(lines(all) == 5);
  CHECK_THAT(all, Contains("[@B] Dot22") && Contains("by dot22") || Contains("dot"));
  const std::string trace = output_of(std::string("why --trace ") + network);
  CHECK_THAT(trace, StartsWith("1. ") && Contains("\n2. ") && Contains(" rewrites\n") && Contains("-> "));
}

TEST_CASE("croton why and why-not refuse unknown nodes and rules with the nearest",
          "[tools][why][cpu][errors]") {
  CHECK_THAT(complaint_of(std::string("why --node W3 ") + network),
             StartsWith("croton: there is no node 'W3'; did you mean W1") && Contains("X"));
  CHECK_THAT(complaint_of(std::string("why --node 99 ") + network), Contains("position (0 to 4)"));
  CHECK_THAT(complaint_of(std::string("why-not fuson --node C ") + network), Contains("did you mean fusion"));
  CHECK_THAT(complaint_of(std::string("why-not fusion --node X ") + network), Contains("no operation"));
  write("some.txt", "graph(%x: float32[3]) {\n  return %x\n}\n");
  CHECK_THAT(complaint_of("why sone.txt"), Contains("did you mean some.txt"));
  CHECK_THAT(complaint_of("why some.txt --shapes 'z=[3]'"), Contains("no input or shared variable 'z'"));
  CHECK_THAT(complaint_of("why some.txt --shapes 'x=[4]'"), Contains("contradicts"));
  CHECK_THAT(complaint_of("why some.txt --shapes 'x=3'"), Contains("expected '['"));
}

TEST_CASE("croton why-not names the first condition that failed", "[tools][why][cpu]") {
  const auto why_not = [](const std::string& arguments) { return output_of("why-not " + arguments); };
  CHECK_THAT(
      why_not(
          "log_of_exp --node 1 --inputs 'x: vector' -e 'log(tanh(x))' --flags optimizer_excluding=fusion"),
      Contains("operand 0 of log(…) is tanh(x), the pattern log(exp(x)) wants exp(x) there"));
  CHECK_THAT(
      why_not("pow_half --node 0 --inputs 'x: lvector' -e 'x ** 0.5' --flags optimizer_excluding=fusion"),
      Contains("pow"));
  CHECK_THAT(
      why_not("product_of_exps --node 2 --inputs 'x: vector, y: vector' -e 'exp(x) * exp(y)' -e 'exp(x)' "
              "--flags optimizer_excluding=fusion:inplace"),
      Contains("is used 2 times"));
  CHECK_THAT(why_not("dot_to_dot22 --node A --inputs 'x: matrix, y: vector' -e 'dot(x, y)'"),
             Contains("dot"));
  CHECK_THAT(why_not("fusion --node A --inputs 'x: vector' -e 'tanh(x)'"),
             Contains("its operands are inputs"));
  CHECK_THAT(why_not("inplace --node A --inputs 'x: vector' -e 'tanh(x)'"),
             Contains("belongs to the caller"));
  CHECK_THAT(
      why_not("log_of_exp --node A --inputs 'x: vector' -e 'tanh(x)' --flags optimizer_excluding=log_of_exp"),
      Contains("optimizer_excluding has log_of_exp"));
  CHECK_THAT(why_not("stabilize --node A --inputs 'x: vector' -e 'log(x)'"), Contains("look at other ops"));
}

TEST_CASE("croton why tells what became of names that vanished", "[tools][why][cpu]") {
  // By fusion, into a node that has another name or none.
  const std::string fused =
      output_of("why --node a --inputs 'x: vector' -e 'a = tanh(x); y = exp(a) * 2; y'");
  CHECK_THAT(
      fused,
      StartsWith("a is not in the optimized graph any more\n  it went with fusion by fusion") &&
              Contains("what was made then is now in [@A] Elemwise{Composite{(2.0 * exp(tanh(i0)))}}") ||
          Contains("what was made then is now in [@A] Elemwise{Composite{"));
  // By a rule that replaced it with something else.
  CHECK_THAT(output_of("why --node b --inputs 'x: vector' -e 'b = exp(x); log(b)'"),
             StartsWith("b is not in the optimized graph any more\n  it went with stabilize by log_of_exp") &&
                 Contains("log(exp(x))") && Contains("-> x"));
  // Merged with an equal one before any rewrite.
  CHECK_THAT(output_of("why --node c --inputs 'x: vector' -e 'c = tanh(x); d = tanh(x); c * exp(d)' --flags "
                       "optimizer_excluding=fusion"),
             StartsWith("c is not in the optimized graph any more\n  it is the same expression as d: "));
  CHECK_THAT(complaint_of("why --node e --inputs 'x: vector' -e 'c = tanh(x); c * 2'"),
             StartsWith("croton: there is no node 'e'"));
}

TEST_CASE("croton explains LeNet", "[tools][why][cpu][lenet]") {
  const std::string overview = output_of("why " + lenet() + shapes);
  CHECK_THAT(overview, Contains("DirectConv") && Contains("* legacy: takes it") && Contains("network.cpp:"));
  CHECK_THAT(output_of("debugprint " + lenet() + shapes), Contains("CrossentropySoftmax1HotWithBias"));
}

TEST_CASE("croton debugprint prints 100,000 nodes", "[tools][debugprint][cpu]") {
  write_chain("chain.txt", 100000);
  output_of("debugprint --before chain.txt -o out.txt");
  CHECK(lines(read(path("out.txt"))) == 100001);
}

TEST_CASE("croton debugprint has every option", "[tools][debugprint][cpu]") {
  const std::string graph = std::string(" ") + network;
  CHECK_THAT(output_of("debugprint --types" + graph), Contains("[@A] <TensorType(float32, matrix)> ''"));
  CHECK_THAT(output_of("debugprint --extents --shapes 'X=[5,3], W1=[3,7]'" + graph),
             Contains("X [@E] (5, 3)"));
  CHECK_THAT(output_of("debugprint --destroy-map --view-map" + graph),
             Contains("d={0: [0]}") && Contains("v={0: [0]}"));
  CHECK_THAT(output_of("debugprint --clients --inputs 'x: vector' -e 'tanh(x) + sum(tanh(x))' --flags "
                       "optimizer_excluding=fusion:inplace"),
             Contains(" clients:[["));
  const std::string inner = output_of("debugprint --inner-graphs" + graph);
  CHECK_THAT(inner, Contains("\nInner graphs:\n\nElemwise{Composite{tanh((i0 + i1))}}[(0, 0)] [@C] body\n") &&
                            Contains(" >Elemwise{tanh,no_inplace}") && Contains(" > | |i0 ") ||
                        Contains("i0 [@"));
  CHECK_THAT(inner, Contains("-> [@D]"));
  CHECK_THAT(output_of("debugprint --style json" + graph),
             StartsWith("{\n  \"name\": \"\",\n  \"inputs\": [\n    \"x0\"") &&
                 Contains("\"label\": \"Dot22\"") && Contains("\"rewrites\": ["));
  CHECK_THAT(output_of("debugprint --style text" + graph), StartsWith("graph (") || StartsWith("graph("));
  CHECK_THAT(output_of("debugprint --style math" + graph), Contains("tanh"));
  CHECK(output_of("debugprint --depth 1" + graph) == "SoftmaxWithBias [@A] ''   4\n");
  CHECK(output_of("debugprint --before -o tree.txt" + graph).empty());
  CHECK(read(path("tree.txt")) == output_of("debugprint --before" + graph));
  const Result colour = run("debugprint" + graph, "TERM=xterm");
  CHECK(colour.out.find('\x1b') == std::string::npos);  // no terminal
  CHECK_THAT(complaint_of("debugprint --style tre -e 1"), Contains("tre"));
}

TEST_CASE("croton debugprint says which flags had no effect", "[tools][debugprint][cpu]") {
  const Result result =
      run(std::string("debugprint --flags optimizer_excluding=fusion,threads=1 ") + network);
  CHECK(result.code == 0);
  CHECK(result.err == "without effect on this graph: threads=1\n");
  CHECK_THAT(result.out, !Contains("Composite"));
}

TEST_CASE("croton debugprint --diff compares stages, flags, shapes and files", "[tools][debugprint][cpu]") {
  const std::string graph = std::string(" ") + network;
  const std::string flags = output_of("debugprint --diff '' optimizer_excluding=fusion" + graph);
  CHECK_THAT(flags, Contains("nodes are the same, 1 vanished, 2 appeared") &&
                        Contains("\n- [@C] Elemwise{Composite") && Contains("\n+ "));
  CHECK_THAT(output_of("debugprint --diff before after" + graph), Contains("- ") && Contains("+ "));
  CHECK_THAT(output_of("debugprint --diff after after" + graph),
             StartsWith("5 nodes are the same, 0 vanished, 0"));
  write("a.txt", "graph(%x: float32[3]) {\n  %0 = tanh(%x)\n  return %0\n}\n");
  write("b.txt", "graph(%x: float32[3]) {\n  %0 = tanh(%x)\n  %1 = softmax(%0) {axis=0}\n  return %1\n}\n");
  CHECK_THAT(output_of("debugprint --diff a.txt b.txt"),
             StartsWith("1 nodes are the same, 0 vanished, 1 appeared"));
  CHECK_THAT(output_of("debugprint --diff 'X=[2,3]' 'X=[4,3]'" + graph), Contains("take other operands"));
  CHECK_THAT(complaint_of("debugprint --diff a.txt missing.txt"), Contains("cannot read missing.txt"));
  CHECK_THAT(complaint_of("debugprint --diff '' flux=1" + graph), Contains("flux"));
}

TEST_CASE("croton lint finds what is probably not meant", "[tools][lint][cpu]") {
  const auto lint = [](const std::string& arguments) {
    const Result result = run("lint " + arguments);
    CHECK(result.err.empty());
    CHECK(result.code == 1);
    return result.out;
  };
  CHECK(output_of(std::string("lint ") + network) == "0 findings\n");
  CHECK_THAT(lint("--inputs 'x: fmatrix, y: dvector' -e 'x + y'"),
             Contains("float64: ") && Contains("astype(DType::float32)") && Contains("1 finding\n"));
  CHECK_THAT(lint("--inputs 'p: matrix' -e 'log(softmax(p) + 1e-8)'"),
             Contains("unstable: ") && Contains("log_softmax(x)"));
  CHECK_THAT(lint("--inputs 'x: row, b: scalar' -e 'x + b.dimshuffle(\"x\", \"x\")'"),
             Contains("broadcast: ") && Contains("axis 0"));
  CHECK_THAT(lint("--inputs 'x: tensor4, w: tensor4' -e 'conv2d(x, w)'"),
             Contains("convolution: ") && Contains("--shapes"));
  // What a rule makes stable is no finding.
  CHECK(output_of("lint --inputs 'x: matrix' -e 'log(softmax(x))' -e 'log(1 + x)' -e 'log(sigmoid(x))'") ==
        "0 findings\n");
}

TEST_CASE("croton why says that a convolution of unknown shapes is not chosen yet", "[tools][why][cpu]") {
  CHECK_THAT(output_of("why --inputs 'x: tensor4, w: tensor4' -e 'conv2d(x, w)'"),
             Contains("as built\n    no implementation is chosen yet") && EndsWith("'x=[500,1,28,28]'\n"));
}

TEST_CASE("the commands that explain a graph refuse a device that is not there",
          "[tools][why][errors][cpu]") {
  const std::string convolution =
      " --inputs 'x: tensor4, w: tensor4' -e 'conv2d(x, w)' --shapes 'x=[2,3,8,8], w=[4,3,3,3]' ";
  for (const char* command : {"why", "debugprint", "lint", "why-not fusion --node A"}) {
    CHECK_THAT(complaint_of(command + convolution + "--flags device=cuda99"),
               Contains("device=cuda99 cannot be used"));
  }
  CHECK_THAT(complaint_of("why" + convolution + "--flags optimizer_including=cudnn"),
             Contains("is for functions on a GPU"));
  // What is not decided for a device needs none.
  const Result general = run("debugprint --general --inputs 'x: matrix' -e 'tanh(x)' --flags device=cuda99");
  CHECK(general.code == 0);
  CHECK_THAT(general.err, StartsWith("without effect on this graph: device=cuda99"));
}

TEST_CASE("the commands that explain a graph do so for the device of the flags",
          "[.fake_cuda][tools][why][cuda]") {
  const std::string convolution =
      " --inputs 'x: tensor4, w: tensor4' -e 'conv2d(x, w)' --shapes 'x=[2,3,8,8], w=[4,3,3,3]' ";
  CHECK_THAT(output_of("why" + convolution + "--flags device=cuda"),
             Contains("] GpuDirectConv  (expression:1)  by conv_legacy\n") && Contains("flip on cuda0\n") &&
                 Contains(" dnn: cuDNN is not installed; croton doctor says more\n"));
  CHECK_THAT(output_of("why-not conv_gemm --node B" + convolution + "--flags device=cuda1"),
             StartsWith("[@B] GpuDirectConv") && Contains("flip on cuda1\n"));
  const std::string chain = "--inputs 'x: matrix' -e 'tanh(x) * 2' --shapes 'x=[3,4]' ";
  CHECK_THAT(
      output_of("debugprint " + chain + "--flags device=cuda"),  // and no flag without effect
      StartsWith("HostFromGpu") && Contains("GpuElemwise{Composite") && Contains("GpuFromHost<cuda0>"));
  CHECK_THAT(output_of("debugprint --inputs 'x: matrix' -e 'tanh(x) * 2' --flags device=cuda"),
             Contains("GpuElemwise{Composite"));
  CHECK_THAT(output_of("debugprint " + chain + "--diff device=cpu device=cuda"), Contains("2 appeared"));
  const Result lint = run("lint " + convolution + "--flags device=cuda,optimizer_excluding=conv_legacy");
  CHECK(lint.code == 1);
  CHECK_THAT(lint.out, Contains("no implementation is good at") && Contains("flip on cuda0\n"));
  CHECK_THAT(complaint_of("why" + convolution + "--flags device=cuda,optimizer_including=cudnn"),
             Contains("cuDNN cannot be used on cuda0: cuDNN is not installed"));
}
