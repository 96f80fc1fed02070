// The example programs as a user runs them: how they refuse bad input, and that training goes on bit for bit.

#include <sys/wait.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "croton/graph/npy.h"
#include "places.h"

using namespace croton;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

namespace fs = std::filesystem;

struct Result {
  int code;
  std::string out, err;
};

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// A folder of the test's own, empty at first.
const fs::path& folder() {
  static const fs::path path = [] {
    fs::path p = croton::test::writable_folder() / "programs";
    fs::remove_all(p);
    fs::create_directories(p);
    return p;
  }();
  return path;
}

/// `arguments` and `environment` are for the shell.
Result run(const std::string& program, const std::string& arguments, const std::string& environment = "") {
  const std::string out = (folder() / "out").string(), err = (folder() / "err").string();
  const std::string command = "cd '" + folder().string() + "' && XDG_CACHE_HOME='" +
                              (folder() / "cache").string() + "' " + environment + " '" +
                              croton::test::program(program).string() + "' " + arguments + " >'" + out +
                              "' 2>'" + err + "' </dev/null";
  const int status = std::system(command.c_str());
  return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, read(out), read(err)};
}

/// The complaint about bad input: exit code 2, and no folder for results.
std::string complaint_of(const std::string& program, const std::string& arguments) {
  const Result result = run(program, arguments + " --output none");
  INFO(program << " " << arguments << "\n" << result.out << result.err);
  CHECK(result.code == 2);
  CHECK_THAT(result.err, !Contains("internal error"));
  CHECK_THAT(result.err, StartsWith(program + ": "));
  CHECK_FALSE(fs::exists(folder() / "none"));
  fs::remove_all(folder() / "none");
  return result.err;
}

std::string big_endian(std::uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}

std::string images(std::uint32_t count, std::uint32_t side = 28) {
  std::string bytes =
      std::string("\0\0\x08\x03", 4) + big_endian(count) + big_endian(side) + big_endian(side);
  for (std::uint32_t i = 0; i < count * side * side; ++i) bytes += static_cast<char>(i * i / 7 % 251);
  return bytes;
}

std::string labels(std::uint32_t count, unsigned most = 9) {
  std::string bytes = std::string("\0\0\x08\x01", 4) + big_endian(count);
  for (std::uint32_t i = 0; i < count; ++i) bytes += static_cast<char>(i % (most + 1));
  return bytes;
}

void write(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// A folder with four good files.
fs::path digits(const std::string& name, std::uint32_t train = 80, std::uint32_t test = 20) {
  const fs::path path = folder() / name;
  fs::remove_all(path);
  fs::create_directories(path);
  write(path / "train-images-idx3-ubyte", images(train));
  write(path / "train-labels-idx1-ubyte", labels(train));
  write(path / "t10k-images-idx3-ubyte", images(test));
  write(path / "t10k-labels-idx1-ubyte", labels(test));
  return path;
}

std::string data(const fs::path& path) { return "--data '" + path.string() + "'"; }

const char* const small_network = " --batch-size 20 --nkerns 2,3 ";

}  // namespace

TEST_CASE("lenet refuses data that are no digits, by file and reason", "[tools][programs]") {
  CHECK_THAT(complaint_of("lenet", "--data /nowhere"),
             StartsWith("lenet: /nowhere/train-images-idx3-ubyte: no such file"));

  const auto complaint_about = [](const std::string& file, const std::string& bytes) {
    const fs::path path = digits("bad");
    write(path / file, bytes);
    const std::string complaint = complaint_of("lenet", data(path));
    CHECK_THAT(complaint, Contains((path / file.substr(0, 6)).string()));
    return complaint;
  };
  const std::string whole = images(80);
  CHECK_THAT(complaint_about("train-images-idx3-ubyte", ""), Contains("ends before that"));
  CHECK_THAT(complaint_about("train-images-idx3-ubyte", whole.substr(0, 11)),
             Contains("ends within its header"));
  CHECK_THAT(complaint_about("train-images-idx3-ubyte", whole.substr(0, 4000)), Contains("truncated"));
  CHECK_THAT(complaint_about("train-images-idx3-ubyte", whole + "x"), Contains("more than the"));
  CHECK_THAT(complaint_about("train-images-idx3-ubyte", "PK" + whole), Contains("not an IDX file"));
  CHECK_THAT(complaint_about("train-images-idx3-ubyte", images(80, 27)), Contains("expected uint8 images"));
  CHECK_THAT(complaint_about("train-labels-idx1-ubyte", labels(79)),
             Contains("one uint8 label for each of 80"));
  CHECK_THAT(complaint_about("t10k-labels-idx1-ubyte", labels(20, 12)), Contains("a label is 10"));
  CHECK_THAT(complaint_about("t10k-labels-idx1-ubyte", images(20)), Contains("one uint8 label"));
  CHECK_THAT(complaint_of("lenet", data(digits("few", 4))), Contains("too few"));
  CHECK_THAT(complaint_of("lenet", data(digits("untested", 80, 0))), Contains("too few"));
}

TEST_CASE("lenet reads gzipped digits and refuses damaged ones", "[tools][programs]") {
  const fs::path path = digits("gzipped");
  REQUIRE(std::system(("gzip '" + path.string() + "'/*").c_str()) == 0);
  const fs::path file = path / "train-images-idx3-ubyte.gz";
  const std::string whole = read(file);
  REQUIRE(whole.size() > 200);
  write(file, whole.substr(0, whole.size() - 4));
  CHECK_THAT(complaint_of("lenet", data(path)), Contains(file.string()) && Contains("truncated"));
  write(file, whole.substr(0, whole.size() / 2));
  CHECK_THAT(complaint_of("lenet", data(path)), Contains(file.string()) && Contains("truncated"));
  std::string damaged = whole;
  for (std::size_t i = 100; i < 120; ++i) damaged[i] = static_cast<char>(~damaged[i]);
  write(file, damaged);
  CHECK_THAT(complaint_of("lenet", data(path)), Contains(file.string()));
  write(file, whole);
  const Result result =
      run("lenet", data(path) + small_network + "--epochs 1 --output trained --flags profile=true");
  INFO(result.err);
  CHECK(result.code == 0);
  for (const char* said : {"function 'train'", "\nfusion ", "\ninplace "})
    CHECK_THAT(result.err, Contains(said));
  CHECK_THAT(result.out, Contains("\ntest error "));
  for (const char* name : {"learning_curve.svg", "filters.svg", "lenet.npz", "graph.txt"})
    CHECK(fs::file_size(folder() / "trained" / name) > 100);
}

TEST_CASE("the programs refuse bad options before they work", "[tools][programs]") {
  const std::string good = data(digits("good")) + small_network;
  for (const char* rate : {"nan", "inf", "0", "-0.1"}) {
    CHECK_THAT(complaint_of("lenet", good + "--learning-rate " + rate), Contains("--learning-rate"));
  }
  for (const char* bad :
       {"--learning-rate fast", "--epochs -3", "--epochs 0", "--epochs many", "--batch-size 0", "--nkerns 20",
        "--nkerns 20,-1", "--patience 0", "--seed -1", "--epoch 3", "--epochs 2.5", "--batch-size 81"}) {
    const std::string option = std::string(bad).substr(0, std::string(bad).find(' '));
    CHECK_THAT(complaint_of("lenet", data(folder() / "good") + " " + bad), Contains(option));
  }
  for (const char* program : {"lenet", "moons"}) {
    CHECK_THAT(complaint_of(program, "--flags profil=true"), Contains("did you mean profile,"));
    CHECK_THAT(complaint_of(program, "--flags mode=FAST_RAN"), Contains("did you mean FAST_RUN?"));
    CHECK_THAT(complaint_of(program, "--flags optimizer_excluding=conv_dn"),
               Contains("did you mean conv_dnn?"));
    CHECK_THAT(complaint_of(program, "--flags threads=-1"), Contains("threads"));
    write(folder() / "file", "");
    const Result result = run(program, "--output file/results");
    CHECK(result.code == 2);
    CHECK_THAT(result.err, Contains("file/results"));
    CHECK(run(program, "--output /proc/1/results").code == 2);
  }
}

TEST_CASE("lenet goes on from a file bit for bit, and refuses others", "[tools][programs]") {
  const std::string common = data(digits("resumed")) + small_network + "--seed 5 --flags deterministic=true ";
  const auto train = [&](const std::string& more) {
    const Result result = run("lenet", common + more);
    INFO(more << "\n" << result.err);
    REQUIRE(result.code == 0);
    return result.out;
  };
  const std::string at_once = train("--epochs 4 --output at_once");
  train("--epochs 2 --output in_parts");
  const std::string rest = train("--epochs 4 --output in_parts --resume in_parts/lenet.npz");
  const auto lines = [](const std::string& text) {
    std::vector<std::string> found;
    for (const char* epoch : {"epoch   3/4", "epoch   4/4"}) {
      const std::size_t begin = text.find(epoch);
      REQUIRE(begin != std::string::npos);
      found.push_back(text.substr(begin, text.find('\n', begin) - begin));
    }
    return found;
  };
  CHECK(lines(at_once) == lines(rest));
  const NamedTensors once = load_npz((folder() / "at_once" / "lenet.npz").string());
  const NamedTensors parts = load_npz((folder() / "in_parts" / "lenet.npz").string());
  for (const auto& [name, tensor] : once) {
    INFO(name);
    Tensor a = tensor.contiguous(), b = parts.at(name).contiguous();
    REQUIRE(a.shape() == b.shape());
    if (name == "state") {  // the last number is the time that training took
      a = a.slice(0, 0, 6).contiguous();
      b = b.slice(0, 0, 6).contiguous();
    }
    CHECK(std::string(static_cast<const char*>(a.raw_data()), a.bytes()) ==
          std::string(static_cast<const char*>(b.raw_data()), b.bytes()));
  }

  const std::string saved = read(folder() / "at_once" / "lenet.npz");
  const auto complaint_about = [&](const std::string& bytes) {
    write(folder() / "bad.npz", bytes);
    return complaint_of("lenet", common + "--resume bad.npz");
  };
  CHECK_THAT(complaint_about(saved.substr(0, saved.size() / 2)), Contains("bad.npz"));
  CHECK_THAT(complaint_about(""), Contains("bad.npz"));
  std::string damaged = saved;
  damaged[damaged.size() / 3] = static_cast<char>(~damaged[damaged.size() / 3]);
  CHECK_THAT(complaint_about(damaged), Contains("bad.npz"));
  CHECK_THAT(complaint_of("lenet", common + "--resume missing.npz"), Contains("missing.npz"));
  write(folder() / "saved.npz", saved);
  const std::string resumed = data(folder() / "resumed") + " --resume saved.npz ";
  CHECK_THAT(complaint_of("lenet", resumed + "--batch-size 20 --nkerns 3,3"), Contains("'W0' has shape"));
  CHECK_THAT(complaint_of("lenet", resumed + "--batch-size 10 --nkerns 2,3"), Contains("--batch-size 20"));
}

TEST_CASE("conv_bench measures what it is told, and says what fails", "[programs][conv]") {
  const Result result = run(
      "conv_bench", "i2x9x8,k4x5x3,b2,p1 --calls 1 --output lines.txt --json times.jsonl --svg chart.svg");
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out,
             StartsWith("CONFIG: input = 2 x 9 x 8 * ker = 2 x 4 x 5 x 3 ( bs = 2 , stride = 1 , pad = 1 )"));
  for (const char* name : {"default", "legacy", "gemm", "fft", "dnn", "meta"}) {
    for (const char* pass : {"fprop", "bprop inputs", "bprop weights"})
      CHECK_THAT(result.out, Contains(std::string(name)) && Contains(std::string("==> ") + pass));
  }
  CHECK_THAT(result.out,
             Contains("winograd fprop: FAILED winograd_4x4: refuses: filters of (3, 5); winograd has 3 x 3"));
  CHECK(read(folder() / "lines.txt") == result.out);
  CHECK_THAT(read(folder() / "times.jsonl"),
             Contains("\"name\": \"fft\", \"pass\": \"bprop weights\", \"microseconds\": "));
  CHECK_THAT(read(folder() / "chart.svg"), StartsWith("<svg"));
  const auto complaint = [](const std::string& arguments) {
    const Result bad = run("conv_bench", arguments);
    CHECK(bad.code == 2);
    return bad.err;
  };
  CHECK_THAT(complaint("99"), Contains("there is no run 99"));
  CHECK_THAT(complaint("i3x8x8"), Contains("has no part k"));
  CHECK_THAT(complaint("i3x8x8,k4x9x9"), Contains("larger than the image"));
  CHECK_THAT(complaint("i3x8x8,k4x3x3,q2"), Contains("no part begins like 'q2'"));
  CHECK_THAT(complaint("i3x8x8x8,k4x3x3"), Contains("3 numbers, it needs 4"));
}

TEST_CASE("conv_bench complains about what cannot work before it measures", "[programs][conv]") {
  const std::string run_of_one = "i2x9x8,k4x5x3,b2 --calls 1 ";
  const auto complaint = [&](const std::string& arguments, const std::string& environment = "") {
    const Result bad = run("conv_bench", arguments, environment);
    CHECK(bad.code == 2);
    CHECK(bad.out.empty());
    return bad.err;
  };
  for (const char* option : {"--output", "--json", "--svg"})
    CHECK_THAT(complaint(run_of_one + option + " missing/file"), Contains("cannot write missing/file"));
  CHECK_THAT(complaint(run_of_one, "SKIP=gemm,winogard"), Contains("there is no 'winogard' to leave out"));
  CHECK_THAT(complaint(run_of_one, "LAYOUT=c01b"), Contains("LAYOUT is bc01 or b01c"));
  CHECK_THAT(complaint(run_of_one, "FLIP=no"), Contains("FLIP is 0"));
  CHECK_THAT(complaint(run_of_one + "--flags device=cuda99"), Contains("device=cuda99 cannot be used"));
  CHECK_THAT(complaint(run_of_one + "--flags optimizer_excluding=conv_ftf"), Contains("conv_fft"));
  CHECK_THAT(complaint("i3x8x8,k4x0x3"), Contains("at least one element"));
  CHECK_THAT(complaint("i3x8x8,k4x3x3,b2,b3"), Contains("two parts b"));
  CHECK_THAT(complaint("i3x8x8,k4x3x3,p9223372036854775807"), Contains("is not a number from 0 to"));
}

#if defined(CROTON_SANITIZED)
constexpr bool ends_where_memory_does = true;  // a sanitizer ends a program that asks for more than there is
constexpr const char* seconds_to_begin = "60";
#else
constexpr bool ends_where_memory_does = false;
constexpr const char* seconds_to_begin = "10";
#endif

TEST_CASE("conv_bench goes on behind a run that fails, and where there is no GPU", "[programs][conv][cpu]") {
  const std::string skip = "SKIP='Default, gemm,fft,winograd,c01b,dnn,meta' ";
  const Result result = run("conv_bench",
                            std::string(ends_where_memory_does ? "" : "i3x900000x900000,k4x3x3 ") +
                                "i2x9x8,k4x3x3,b2 --calls 1 --output '' "
                                "--flags optimizer_excluding=conv_legacy",
                            skip);
  INFO(result.out << result.err);
  CHECK(result.code == 0);
  if (!ends_where_memory_does)
    CHECK_THAT(result.out, Contains("SKIPPING config due to the memory error below"));
  CHECK_THAT(result.out,
             Contains("legacy fprop: FAILED legacy: excluded by optimizer_excluding=conv_legacy"));
  const Result automatic =
      run("conv_bench", "i2x9x8,k4x3x3,b2 --calls 1 --output '' --flags device=auto", skip);
  CHECK(automatic.code == 0);
  CHECK_THAT(automatic.out, Contains("==> fprop") && !Contains("FAILED"));
  const Result graphs = run("conv_bench", "i2x9x8,k4x3x3,b2 --calls 1 --output ''", skip + "PRINT_GRAPH=1 ");
  CHECK_THAT(graphs.out, Contains("\nDirectConv{grad_inputs} [@A] ''") && !Contains("\x1b"));
}

TEST_CASE("conv_bench saves what it has when it is interrupted", "[programs][conv]") {
  const Result result =
      run("conv_bench", "i2x9x8,k4x3x3,b2 --calls 1 --repeat 1000000000 --output kept.txt",
          "timeout --signal=INT --preserve-status --kill-after=60 " + std::string(seconds_to_begin));
  CHECK(result.code == 130);
  CHECK_THAT(read(folder() / "kept.txt"),
             StartsWith("CONFIG: input = 2 x 9 x 8") && Contains("interrupted: this is what was measured"));
}

TEST_CASE("dilated_bench pads by itself and refuses what the five ways cannot do", "[programs][conv]") {
  const auto complaint = [](const std::string& arguments) {
    const Result bad = run("dilated_bench", arguments + " --output ''");
    CHECK(bad.code == 2);
    CHECK(bad.out.empty());
    return bad.err;
  };
  CHECK_THAT(complaint("1 i2x8x8,k3x3x3,p1"), Contains("the padding is 2 x 2"));
  CHECK_THAT(complaint("i2x8x8,k3x3x3,d3"), Contains("divides height and width; 3 does not"));
  CHECK_THAT(complaint("i2x8x8,k3x2x3"), Contains("odd filters"));
  CHECK_THAT(complaint("i2x8x8,k3x3x3,s2"), Contains("stride 1"));
  const Result result = run("dilated_bench",
                            "i2x4x4,k3x3x3,b2,d2 --calls 1 --output '' "
                            "--flags optimizer_excluding=conv_gemm");
  INFO(result.out << result.err);
  CHECK(result.code == 0);
  CHECK_THAT(result.out, Contains("im2col DCD fprop: FAILED gemm: excluded by") &&
                             Contains("Normal DCD                                         ==> fprop"));
}

TEST_CASE("conv_bench measures convolutions along three axes", "[programs][conv]") {
  const Result result = run("conv_bench", "i2x6x5x4,k3x3x2x2,b2,p1x0x1 --calls 1");
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  CHECK_THAT(result.out, StartsWith("CONFIG: input = 2 x 6 x 5 x 4 * ker = 2 x 3 x 3 x 2 x 2 ( bs = 2 , "
                                    "stride = 1 , pad = 1 x 0 x 1 )"));
  CHECK_THAT(result.out, Contains("default                                            ==> fprop"));
}

TEST_CASE("the five ways of dilated_bench agree", "[programs][conv]") {
  const Result result = run("dilated_bench", "i2x8x8,k3x3x3,b2,d2 --calls 1 --output ''");
  INFO(result.out << result.err);
  REQUIRE(result.code == 0);
  const std::string said = "largest difference between the ways: ";
  const std::size_t at = result.out.find(said);
  REQUIRE(at != std::string::npos);
  CHECK(std::stod(result.out.substr(at + said.size())) < 1e-5);
  for (const char* name : {"Subpixel DCD", "Normal DCD", "im2col DCD", "Batchroll DCD", "BatchStack DCD"})
    CHECK_THAT(result.out, Contains(name));
}
