// The command `croton` as a user runs it: what it prints, what it writes, how it refuses.

#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "croton/croton.h"
#include "croton/graph/npy.h"
#include "croton/graph/text_form.h"
#include "croton/graph/version.h"
#include "places.h"
#include "tool_run.h"
#include "two_layers.h"

using namespace croton;
using Catch::Matchers::Contains;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;

using namespace croton_tool;

namespace {

const std::string network_arguments =
    std::string("--inputs 'X: matrix, W1: matrix, b1: vector, W2: matrix, b2: vector' -e '") +
    test::two_layers + "'";

}  // namespace

TEST_CASE("croton without arguments shows what it can do", "[tools][tool][cpu]") {
  const std::string help = output_of("");
  for (const char* command : {"debugprint", "why", "why-not", "lint", "eval", "flags", "ops", "doctor",
                              "cache", "replay", "bisect"})
    CHECK_THAT(help, Contains(command));
  CHECK(output_of("--help") == help);
  CHECK(output_of("--version") == version_details() + "\n");
}

TEST_CASE("croton debugprint prints the optimized graph in Theano's layout", "[tools][tool][cpu]") {
  CHECK(output_of("debugprint " + network_arguments) == test::two_layers_optimized);
  CHECK(output_of("debugprint --before --ids id --types --depth 3 " + network_arguments) ==
        "Softmax [id A] <TensorType(float32, matrix)> ''   \n"
        " |Elemwise{add,no_inplace} [id B] <TensorType(float32, matrix)> ''   \n"
        "   |dot [id C] <TensorType(float32, matrix)> ''   \n"
        "   |InplaceDimShuffle{x,0} [id D] <TensorType(float32, row)> ''   \n");
  CHECK(output_of(
            "debugprint --before --stop-on-name --ids none --inputs 'x: vector' -e 'h = tanh(x); h + 1'") ==
        "Elemwise{add,no_inplace}  ''   \n"
        " |Elemwise{tanh,no_inplace}  'h'   \n"
        " |TensorConstant{(1,) of 1.0} \n");
  CHECK(output_of("debugprint --style math --before --inputs 'x: vector' -e 'tanh(x) * x'") ==
        "(tanh(x) * x)\n");
  CHECK_THAT(output_of("debugprint --rewrites " + network_arguments), Contains("   4 by "));
  CHECK_THAT(output_of("debugprint --flags optimizer_excluding=fusion " + network_arguments),
             Contains("Elemwise{tanh}[(0, 0)]"));
  CHECK_THAT(output_of("debugprint --general " + network_arguments), !Contains("Composite"));
}

TEST_CASE("croton debugprint --style text writes what it reads", "[tools][tool][cpu]") {
  const std::string before = output_of("debugprint --before --style text " + network_arguments);
  write("graph.txt", before);
  CHECK(output_of("debugprint --before --style text graph.txt") == before);
  const std::string optimized = output_of("debugprint --style text graph.txt");
  CHECK(optimized == output_of("debugprint --style text " + network_arguments));
  CHECK_THAT(optimized, Contains("Composite(") && Contains("inplace=[0, 0]"));
  CHECK(equal_graphs(parse_graph(optimized), parse_graph(to_text(parse_graph(optimized)))));
}

TEST_CASE("croton eval computes over files and numbers", "[tools][tool][cpu]") {
  save_npy(path("x.npy"), Tensor{{1.f, 2.f}, {3.f, 4.f}});
  save_npz(path("both.npz"), {{"a", Tensor{1.f, 2.f}}, {"b", Tensor{3, 4}}});
  CHECK(output_of("eval -e 'x * 2 + y' x=x.npy y=0.5") == "[[2.5 4.5]\n [6.5 8.5]]\n");
  CHECK(output_of("eval -e 'a + b' a=both.npz:a b=both.npz:b") == "[4. 6.]\n");
  CHECK(output_of("eval -e 'grad(sum(sqr(x)), x)' -e x.T x=x.npy") ==
        "[[2. 4.]\n [6. 8.]]\n[[1. 3.]\n [2. 4.]]\n");
  CHECK(output_of("eval -e '1 + 2'") == "3\n");
  CHECK(output_of("eval -e 'n / 4' n=3 --flags floatX=float64") == "0.75\n");
  CHECK(output_of("eval -e 'x.sum(axis=0)' 'x=[[1, 2], [3, 4]]'") == "[4 6]\n");

  CHECK(output_of("eval -e 'x + 1' x=x.npy -o y.npy").empty());
  CHECK(equal(load_npy(path("y.npy")), Tensor{{2.f, 3.f}, {4.f, 5.f}}));
  CHECK(output_of("eval -e 'total = sum(x); total' -e x x=x.npy -e 'x - 1' -o all.npz").empty());
  const NamedTensors archive = load_npz(path("all.npz"));
  REQUIRE(archive.size() == 3);
  CHECK(equal(archive.at("total"), Tensor(10.f)));
  CHECK(equal(archive.at("x"), Tensor{{1.f, 2.f}, {3.f, 4.f}}));
  CHECK(equal(archive.at("arr_2"), Tensor{{0.f, 1.f}, {2.f, 3.f}}));
}

TEST_CASE("croton eval convolves as asked", "[tools][tool][cpu]") {
  save_npy(path("image.npy"), Tensor::arange(12, DType::float32).reshape({1, 1, 3, 4}));
  save_npy(path("filters.npy"), Tensor::ones({1, 1, 2, 2}, DType::float32));
  CHECK(output_of("eval -e 'conv2d(x, w, border_mode=((1, 2), (0, 1)), subsample=(2, 1), filter_flip=false)' "
                  "x=image.npy w=filters.npy") ==
        "[[[[ 1.  3.  5.  3.]\n   [26. 30. 34. 18.]\n   [ 0.  0.  0.  0.]]]]\n");
  CHECK(output_of("eval -e 'conv2d_transpose(x, w, (1, 1, 4, 5)).shape' -e "
                  "'sum(conv3d(x.dimshuffle(0, 1, \"x\", 2, 3), w.dimshuffle(0, 1, \"x\", 2, 3)))' "
                  "x=image.npy w=filters.npy") == "[1 1 4 5]\n132.0\n");
}

TEST_CASE("croton refuses bad input with one message and exit code 2", "[tools][tool][cpu][errors]") {
  save_npy(path("x.npy"), Tensor{{1.f, 2.f}, {3.f, 4.f}});
  save_npz(path("both.npz"), {{"a", Tensor{1.f, 2.f}}, {"b", Tensor{3, 4}}});
  CHECK(complaint_of("debugpint") ==
        "croton: there is no command 'debugpint'; did you mean debugprint?\nRun croton --help for what there "
        "is.\n");
  CHECK(complaint_of("tune shwo") ==
        "croton: there is no command 'shwo' in croton tune; did you mean show?\nRun croton tune --help for "
        "what there is.\n");
  CHECK_THAT(complaint_of("tune"), StartsWith("croton: croton tune needs one of show, export, import"));
  CHECK_THAT(complaint_of("tune pin"), EndsWith("Run croton tune pin --help for what there is.\n"));
  CHECK_THAT(complaint_of("eval"), Contains("--expression is required"));
  CHECK_THAT(complaint_of("eval --strange -e 1"), Contains("--strange"));
  CHECK_THAT(complaint_of("eval -e 'tanh(x)' 'x=[1]' --flags threads=1000000"), Contains("at most 4096"));
  CHECK_THAT(complaint_of("eval -e 1 --flags floatx=float64"), Contains("did you mean floatX?"));
  CHECK_THAT(complaint_of("eval -e 'x + y' x=x.npy"),
             StartsWith("croton: expression:1:5: unknown name 'y' (there are: x)"));
  CHECK_THAT(complaint_of("eval -e 'x + ' x=x.npy"), Contains("expected an expression, got the end"));
  CHECK_THAT(complaint_of("eval -e 'conv2d(x, x, strides=2)' x=x.npy"),
             Contains("conv2d has no keyword \"strides\"; did you mean subsample?"));
  CHECK_THAT(complaint_of("eval -e 'dot(x, y)' x=x.npy y=[1,2,3]"), Contains("expression:1:1"));
  CHECK_THAT(complaint_of("eval -e x x=missing.npy"), Contains("missing.npy"));
  write("broken.npy", "not an array");
  CHECK_THAT(complaint_of("eval -e x x=broken.npy"), Contains("broken.npy"));
  write("short.npy", read(path("x.npy")).substr(0, 100));
  CHECK_THAT(complaint_of("eval -e x x=short.npy"), Contains("short.npy"));
  CHECK(complaint_of("eval -e a a=both.npz") ==
        "croton: a: say which array of both.npz you mean, as a=both.npz:NAME; it holds a, b\n");
  CHECK_THAT(complaint_of("eval -e a a=both.npz:c"), Contains("'c'") || Contains("\"c\""));
  CHECK_THAT(complaint_of("eval -e x x=x.npy x=1"), Contains("x is given twice"));
  CHECK_THAT(complaint_of("eval -e x 5x=1"), Contains("the name of an input"));
  CHECK_THAT(complaint_of("eval -e x x.npy"), Contains("expected name=file.npy"));
  CHECK_THAT(complaint_of("eval -e x x=1 y=2"), Contains("y"));
  CHECK_THAT(complaint_of("eval -e x x=x.npy -o y.txt"), Contains("must end with .npy or .npz"));
  CHECK_THAT(complaint_of("eval -e x -e x x=x.npy -o two.npy"), Contains("2 results go into a .npz file"));
  CHECK_THAT(complaint_of("eval -e x x=x.npy -o nowhere/y.npy"), Contains("there is no folder nowhere"));
  CHECK_THAT(complaint_of("eval -e 'x[5]' x=x.npy"), Contains("axis"));
  CHECK_THAT(complaint_of("eval -e 'x.reshape(n, 3)' x=x.npy n=2"), Contains("reshape"));
  CHECK_FALSE(std::filesystem::exists(path("two.npy")));

  CHECK_THAT(complaint_of("debugprint"), Contains("needs a file in the text form or an expression"));
  CHECK_THAT(complaint_of("debugprint missing.txt"), Contains("cannot read missing.txt: No such file"));
  CHECK_THAT(complaint_of("debugprint --inputs 'x: matrx' -e x"), Contains("did you mean matrix"));
  CHECK_THAT(complaint_of("debugprint --ids letters -e 1"), Contains("letters"));
  CHECK_THAT(complaint_of("debugprint --depth -3 -e 1"), Contains("depth is -3"));
  CHECK_THAT(complaint_of("debugprint x.npy"), StartsWith("croton: x.npy:1:1: expected 'graph'"));
  CHECK_THAT(complaint_of("debugprint -e 1 graph.txt"), Contains("not both"));
  CHECK_THAT(complaint_of("debugprint -e 1 --flags optimizer_excluding=fuson"),
             Contains("did you mean fusion"));
  write("wrong.txt", "graph(%x: float32[2]) {\n  %0 = softmx(%x)\n  return %0\n}\n");
  CHECK(
      complaint_of("debugprint wrong.txt") ==
      "croton: wrong.txt:2:8: unknown op 'softmx'; did you mean softmax?\n    %0 = softmx(%x)\n         ^\n");
  const Result environment = run("flags", "CROTON_FLAGS=treads=2");
  CHECK(environment.code == 2);
  CHECK_THAT(environment.err, Contains("did you mean threads?"));
}

TEST_CASE("croton flags says what set each", "[tools][tool][cpu]") {
  CHECK(output_of("flags --changed").empty());
  CHECK(output_of("flags --changed --flags floatX=float64,threads=1") ==
        "floatX=float64  (--flags, column 1)\nthreads=1  (--flags, column 16)\n");
  CHECK_THAT(output_of("flags"), Contains("floatX=float32  (default)"));
}

TEST_CASE("croton doctor and cache look at this machine", "[tools][tool][cpu]") {
  const std::string report = output_of("doctor");
  for (const char* line : {"cpu ", "vectors ", "threads ", "memory ", "cache ", "LLVM ", "oneDNN "})
    CHECK_THAT(report, Contains(line));
  CHECK_THAT(output_of("doctor --flags cache_dir=none"), Contains("Problem: there is no cache folder"));

  CHECK(output_of("cache clear --flags cache_dir=kernels").empty() == false);
  output_of("eval -e 'tanh(x) * 2' x=[1.5,2] --flags cache_dir=kernels");
  CHECK_THAT(output_of("cache info --flags cache_dir=kernels"),
             Contains("state    usable") && !Contains("kernels  0\n"));
  CHECK_THAT(output_of("cache clear --flags cache_dir=kernels"), StartsWith("removed "));
  CHECK_THAT(output_of("cache info --flags cache_dir=kernels"), Contains("kernels  0\n"));
  CHECK(output_of("cache info --flags cache_dir=none") == "folder   none\n");
  CHECK_THAT(complaint_of("cache clear --flags cache_dir=none"), Contains("no cache folder to clear"));
  CHECK_THAT(complaint_of("cache"), Contains("croton cache needs one of info, clear"));
}

TEST_CASE("croton replay shows a reported fault again", "[tools][tool][cpu][check]") {
  const ConfigScope scope({{"DebugMode.report_dir", path("")}});
  const Variable x = vector("x");
  std::string error;
  try {
    function({x}, sum(log(x) * 2), {.mode = "NanGuardMode", .name = "f"})(Tensor{1.f, -1.f});
  } catch (const NanGuardError& e) {
    error = e.what();
  }
  const std::size_t at = error.find("croton replay ");
  REQUIRE(at != std::string::npos);
  const std::string file = error.substr(at + 14, error.find(' ', at + 14) - at - 14);
  const Result again = run("replay " + file);
  CHECK(again.code == 1);
  CHECK(again.out.substr(0, again.out.find('\n')) == error.substr(0, error.find('\n')));
  const std::string plain = output_of("replay " + file + " --mode FAST_RUN");
  CHECK(plain == "nothing is wrong any more; the results:\nnan\n");
  CHECK_THAT(complaint_of("replay nothing.croton"), Contains("nothing.croton"));
}

TEST_CASE("croton replay says that a graph is no report", "[tools][tool][cpu][check][errors]") {
  write("plain.croton", "graph(%x: float32[3]) {\n  %0 = tanh(%x)\n  return %0\n}\n");
  CHECK_THAT(complaint_of("replay plain.croton"),
             StartsWith("croton: plain.croton is a graph, not a report of DebugMode or NanGuardMode"));
}

TEST_CASE("croton bisect looks for the first wrong step", "[tools][tool][cpu][check]") {
  write("right.croton", "graph f(%x: float32[?,3]) { %0 = softmax(%x) {axis=1}  %1 = log(%0)  return %1 }");
  save_npz(path("right.npz"), {{"x", Tensor::ones({2, 3})}});
  CHECK(output_of("bisect right.croton --inputs right.npz") ==
        "no rewrite, kernel or library call leaves the tolerance for these values\n");
  CHECK_THAT(complaint_of("bisect right.croton"), Contains("--inputs"));
}

TEST_CASE("the pages of the reference are current", "[tools][tool][cpu][docs]") {
  const auto committed = [](const char* name) { return read(test::source_file(name)); };
  {
    INFO("write it anew: build/bin/croton flags --markdown > docs/reference/flags.md");
    CHECK(output_of("flags --markdown") == committed("docs/reference/flags.md"));
  }
  INFO("write it anew: build/bin/croton ops --markdown > docs/reference/ops.md");
  CHECK(output_of("ops --markdown") == committed("docs/reference/ops.md"));
  CHECK_THAT(output_of("ops"), Contains("sum(x, axis=none, keepdims=false)\n    "));
}
