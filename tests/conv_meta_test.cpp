// optimizer_including=conv_meta: the fastest implementation, measured and remembered.

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <thread>

#include "concrete_conv.h"
#include "croton/croton.h"
#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/ops/conv.h"
#include "croton/optimizer/conv_choice.h"
#include "croton/runtime/conv_contest.h"
#include "croton/runtime/function.h"
#include "croton/runtime/ledger.h"
#include "lowered.h"
#include "messages.h"
#include "places.h"
#include "tool_run.h"

using namespace croton;
using namespace croton::test;
using Catch::Matchers::Contains;

namespace {

/// A file in a folder of this test's own.
std::string fresh_file(const std::string& name) {
  const std::filesystem::path folder = writable_folder() / "ledgers";
  std::filesystem::create_directories(folder);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().filename().string().starts_with(name)) std::filesystem::remove(entry.path());
  }
  return (folder / name).string();
}

Query meta_query() { return Query().including("conv_meta"); }

LedgerEntry entry_of(const std::string& problem) {
  LedgerEntry entry;
  entry.problem = problem;
  entry.context = "a machine";
  entry.winner = "gemm";
  entry.measured_at = "2026-11-21T17:20:05Z";
  entry.trials = {
      {.name = "dnn", .seconds = {3e-3, 2.5e-3}, .workspace = 1000, .error = 1e-6, .reason = "too slow"},
      {.name = "gemm", .seconds = {1e-3}, .workspace = 0, .error = 2e-6, .reason = ""},
      {.name = "fft",
       .seconds = {},
       .workspace = 7,
       .error = 3e-7,
       .reason = "\"broken\"",
       .has_failed = true},
      {.name = "winograd", .seconds = {}, .reason = "filters of (5, 5)", .is_refused = true}};
  return entry;
}

bool same_entry(const LedgerEntry& a, const LedgerEntry& b) { return to_json_line(a) == to_json_line(b); }

}  // namespace

TEST_CASE("conv_meta measures every candidate and takes the fastest", "[runtime][conv][meta]") {
  const std::string file = fresh_file("contest");
  const ConfigScope scope({{"metaopt.ledger", file}, {"metaopt.verbose", "2"}});
  const ConcreteConvCase c = concrete_conv(ConvDirection::forward, {9, 20, 11, 10}, {24, 20, 3, 3}, 1);
  ConvChoice choice;
  std::string report;
  {
    const Messages messages;
    choice = choose_convolution(c.problem, meta_query());
    INFO(choice.text());
    REQUIRE(messages.list.size() == 1);
    report = messages.list[0];
  }
  INFO(report);
  CHECK(choice.reason == "measured now");
  REQUIRE(choice.chosen != nullptr);
  CHECK_THAT(report, Contains("ConvMetaOptimizer meta-optimizing conv2d forward") &&
                         Contains("= " + std::string(choice.chosen->name)) && Contains("* winograd: ") &&
                         Contains("* winograd_4x4: not applicable: refuses: its error is up to"));
  double best = 1;
  std::size_t measured = 0;
  for (const ConvChoice::Entry& entry : choice.entries) {
    if (!entry.trial) continue;
    CHECK(!entry.trial->has_failed);
    if (entry.trial->is_measured()) ++measured;
    best = std::min(best, entry.trial->best());
  }
  CHECK(measured >= 4);
  for (const ConvChoice::Entry& entry : choice.entries) {
    if (entry.candidate == choice.chosen) CHECK(entry.trial->best() == best);
  }
  // Again, from the ledger, with the same answer and its figures.
  const ConvChoice again = choose_convolution(c.problem, meta_query());
  CHECK(again.reason == "from the ledger");
  CHECK(again.chosen == choice.chosen);
  CHECK_THAT(again.text(), Contains("is the fastest, from the ledger") && Contains(" ms of "));

  {  // what is excluded is not taken, whatever was measured
    const Query without = meta_query().excluding(choice.chosen->tag);
    CHECK(choose_convolution(c.problem, without).chosen->tag != choice.chosen->tag);
  }
  {  // what is pinned is taken
    Ledger ledger(file);
    const std::vector<LedgerEntry> entries = ledger.all();
    REQUIRE(entries.size() == 1);
    // What refused is on record.
    const auto refused = std::ranges::find(entries[0].trials, "conv3d2d", &ConvTrial::name);
    REQUIRE(refused != entries[0].trials.end());
    CHECK((refused->is_refused && refused->reason == "2 spatial axes; conv3d2d has 3"));
    CHECK_THROWS_AS(ledger.pin(entries[0].id, "conv3d2d"), ValueError);
    const std::string other = choice.chosen->name == "legacy" ? "gemm" : "legacy";
    ledger.pin(entries[0].id, other);
    CHECK(choose_convolution(c.problem, meta_query()).chosen->name == other);
    CHECK(choose_convolution(c.problem, meta_query()).reason == "pinned in the ledger");
    ledger.pin(entries[0].id, "");
    CHECK(choose_convolution(c.problem, meta_query()).chosen == choice.chosen);
    CHECK_THROWS_WITH(ledger.pin(entries[0].id, "cudnn"),
                      Contains("no candidate 'cudnn'") && Contains("gemm"));
    CHECK_THROWS_AS(ledger.pin(entries[0].id + 1, "gemm"), ValueError);
  }
  {  // a function computes with it
    const Variable x = tensor(DType::float32, c.problem.image_shape()),
                   w = tensor(DType::float32, c.problem.filter_shape());
    const Function f =
        function({x, w}, conv2d(x, w, {.border_mode = 1}), {.mode = default_mode().including("conv_meta")});
    check_conv(c, f(c.first, c.second)[0]);
  }
}

TEST_CASE("the progress of measuring is a line", "[runtime][conv][meta]") {
  CHECK(progress_line(0, 4, "dnn", 80) == "[....................] 0 of 4  dnn");
  CHECK(progress_line(3, 4, "gemm", 80) == "[###############.....] 3 of 4  gemm");
  CHECK(progress_line(3, 4, "gemm", 22) == "[###############.....]");
}

TEST_CASE("what refused once is measured when it takes the problem", "[runtime][conv][meta]") {
  const ConfigScope scope({{"metaopt.ledger", fresh_file("refused")}});
  const ConvProblem p = concrete_conv(ConvDirection::forward, {9, 22, 11, 10}, {24, 22, 3, 3}, 1).problem;
  CHECK(choose_convolution(p, meta_query()).reason == "measured now");
  CHECK(choose_convolution(p, meta_query()).reason == "from the ledger");
  const ConfigScope allowed({{"metaopt.max_error", "1e-4"}});
  CHECK(choose_convolution(p, meta_query()).reason == "measured now");
}

TEST_CASE("all three directions of a function are measured apart", "[runtime][conv][meta]") {
  const ConfigScope scope({{"metaopt.ledger", fresh_file("directions")}, {"metaopt.budget", "1"}});
  const Variable x = tensor(DType::float32, {8, 3, 9, 9}), w = tensor(DType::float32, {5, 3, 4, 4});
  const Variable cost = sqr(conv2d(x, w)).sum();
  const std::vector<Variable> gradients = grad(cost, std::vector<Variable>{x, w});
  const Function f =
      function({x, w}, {cost, gradients[0], gradients[1]}, {.mode = default_mode().including("conv_meta")});
  const Tensor a = random_tensor({8, 3, 9, 9}, DType::float32, 1),
               b = random_tensor({5, 3, 4, 4}, DType::float32, 2);
  const Outputs measured = f(a, b);
  const Outputs expected = function({x, w}, {cost, gradients[0], gradients[1]})(a, b);
  for (std::size_t i = 0; i < 3; ++i) CHECK(allclose(measured[i], expected[i], 1e-4, 1e-3));
  const std::vector<LedgerEntry> entries = Ledger(config().metaopt_ledger().string()).all();
  REQUIRE(entries.size() == 3);
  for (const char* direction : {"forward", "backward_inputs", "backward_weights"}) {
    CHECK(std::ranges::any_of(entries, [&](const LedgerEntry& e) {
      return e.problem.find(std::string(" ") + direction + " ") != std::string::npos;
    }));
  }
}

TEST_CASE("strict replay fails where nothing was measured", "[runtime][conv][meta]") {
  const std::string file = fresh_file("strict");
  const ConfigScope scope({{"metaopt.ledger", file}, {"metaopt.replay", "strict"}});
  const ConvProblem p = concrete_conv(ConvDirection::forward, {2, 3, 7, 6}, {4, 3, 2, 3}).problem;
  CHECK_THROWS_WITH(choose_convolution(p, meta_query()),
                    Contains("metaopt.replay=strict") && Contains(file) && Contains("2x3x7x6"));
  CHECK(choose_convolution(p, {}).chosen != nullptr);
}

TEST_CASE("limits on error and workspace", "[optimizer][conv]") {
  const ConvProblem p = concrete_conv(ConvDirection::forward, {4, 8, 12, 12}, {16, 8, 3, 3}, 1).problem;
  const auto reason = [&](const ConvCandidate& candidate) { return ask(candidate, p).reason; };
  CHECK_THAT(reason(conv_winograd_4x4), Contains("is allowed"));
  {
    const ConfigScope scope({{"metaopt.max_error", "1e-5"}});
    CHECK(reason(conv_winograd_4x4).empty());
  }
  {
    const ConfigScope scope({{"precision", "tf32"}});
    CHECK(reason(conv_winograd_4x4).empty());
  }
  const ConvProblem large = concrete_conv(ConvDirection::forward, {4, 64, 60, 60}, {64, 64, 3, 3}, 1).problem;
  const ConfigScope scope({{"metaopt.max_workspace", "1"}});
  CHECK_THAT(ask(conv_fft_tiling, large).reason, Contains("MiB; metaopt.max_workspace is 1"));
  CHECK_THROWS_AS(ConfigScope({{"metaopt.max_error", "-1"}}), FlagError);
}

TEST_CASE("winograd and fft are taken where they are asked for, before dnn", "[optimizer][conv]") {
  const ConvProblem p = concrete_conv(ConvDirection::forward, {4, 64, 40, 40}, {64, 64, 3, 3}, 1).problem;
  const auto chosen = [&](const Query& query) { return choose_convolution(p, query).chosen->tag; };
  CHECK(chosen({}) == "conv_dnn");
  CHECK(chosen(Query().including("conv_fft")) == "conv_fft");
  CHECK(chosen(Query().including("conv_winograd:conv_fft")) == "conv_winograd");
  CHECK(chosen(Query().including("conv_fft:conv_winograd")) == "conv_fft");
  CHECK(chosen(Query().including("conv_fft").excluding("conv_fft")) == "conv_dnn");
  ConvProblem without = p;
  without.version = "no_fft";
  CHECK(choose_convolution(without, Query().including("conv_fft")).chosen->tag == "conv_dnn");
}

TEST_CASE("winograd and fft are taken by themselves where they are known to be faster", "[optimizer][conv]") {
  const auto chosen = [](const ConvProblem& p, const Query& query = {}) {
    return std::string(choose_convolution(p, query).chosen->name);
  };
  const auto problem = [](std::int64_t channels, std::int64_t kernel) {
    return concrete_conv(ConvDirection::forward, {4, channels, 32, 32}, {128, channels, kernel, kernel})
        .problem;
  };
  CHECK(chosen(problem(256, 3)) == "winograd_4x4");
  CHECK(chosen(problem(96, 3)) == "dnn");  // its error is not allowed
  CHECK(chosen(problem(128, 5)) == "fft_tiling");
  CHECK(chosen(problem(16, 5)) == "dnn");
  CHECK(chosen(problem(128, 9)) == "fft_tiling");
  CHECK(chosen(problem(16, 9)) == "dnn");
  CHECK(chosen(problem(128, 9), Query().excluding("conv_fft")) == "dnn");
  CHECK(chosen(problem(128, 9), Query().including("conv_dnn")) == "dnn");
  CHECK(chosen(problem(128, 9), Query(ModeName::FAST_COMPILE)) == "dnn");
  CHECK_THAT(choose_convolution(problem(128, 9), {}).text(), Contains("* fft_tiling: takes it, and takes"));
  ConvProblem on_gpu = problem(128, 9);
  on_gpu.device = Device::cuda(0);
  CHECK(chosen(on_gpu) == "dnn");
}

TEST_CASE("a ledger keeps what it is given", "[runtime][ledger]") {
  const std::string file = fresh_file("kept");
  const LedgerEntry entry = entry_of("conv2d of something");
  CHECK(same_entry(ledger_entry_from_json(to_json_line(entry)), entry));
  CHECK_THROWS_WITH(ledger_entry_from_json("{\"problem\": 3}"), Contains("not a line of a ledger"));
  {
    Ledger ledger(file);
    CHECK(!ledger.find(entry.problem, entry.context));
    ledger.put(entry);
    LedgerEntry other = entry_of("another");
    ledger.put(other);
    other.winner = "dnn";
    ledger.put(other);
    CHECK(ledger.all().size() == 2);
  }
  Ledger ledger(file);
  REQUIRE(ledger.find(entry.problem, entry.context).has_value());
  CHECK(same_entry(*ledger.find(entry.problem, entry.context), entry));
  CHECK(ledger.find("another", "a machine")->winner == "dnn");
  CHECK(!ledger.find(entry.problem, "another machine"));
  // What is pinned stays when it is measured again.
  ledger.pin(ledger.find("another", "a machine")->id, "gemm");
  LedgerEntry again = entry_of("another");
  again.winner = "dnn";
  ledger.put(again);
  CHECK(ledger.find("another", "a machine")->winner == "gemm");
  CHECK(ledger.clear() == 2);
  CHECK(ledger.all().empty());
}

TEST_CASE("a damaged ledger is set aside", "[runtime][ledger]") {
  const std::string file = fresh_file("damaged");
  {
    Ledger ledger(file);
    ledger.put(entry_of("lost"));
  }
  for (const char* suffix : {"-wal", "-shm"}) std::filesystem::remove(file + suffix);
  const auto damage = [&](std::size_t from, std::size_t bytes) {
    std::fstream out(file, std::ios::in | std::ios::out | std::ios::binary);
    out.seekp(static_cast<std::streamoff>(from));
    for (std::size_t i = 0; i < bytes; ++i) out.put(static_cast<char>(i * 37 + 11));
  };
  damage(0, 300);
  const Messages messages;
  Ledger ledger(file);
  CHECK(ledger.all().empty());
  ledger.put(entry_of("new"));
  CHECK(ledger.all().size() == 1);
  REQUIRE(messages.list.size() == 1);
  CHECK_THAT(messages.list[0], Contains("is damaged") && Contains(".damaged-"));
  std::size_t kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path(file).parent_path()))
    kept += entry.path().filename().string().starts_with("damaged.damaged-");
  CHECK(kept == 1);
}

TEST_CASE("several may write to a ledger at once", "[runtime][ledger]") {
  const std::string file = fresh_file("shared");
  std::vector<std::string> problems(4);
  const auto write = [&](std::size_t number) {
    try {
      Ledger ledger(file);
      for (int i = 0; i < 25; ++i) ledger.put(entry_of(std::to_string(i) + " of " + std::to_string(number)));
    } catch (const std::exception& error) {
      problems[number] = error.what();
    }
  };
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < problems.size(); ++i) writers.emplace_back(write, i);
  for (std::thread& writer : writers) writer.join();
  for (const std::string& problem : problems) CHECK(problem.empty());
  CHECK(Ledger(file).all().size() == 100);
}

TEST_CASE("croton tune shows, moves and pins measurements", "[tools][ledger]") {
  const std::string file = fresh_file("tool"), copy = fresh_file("copy"), lines = fresh_file("lines");
  Ledger(file).put(entry_of("conv2d forward of something"));
  const auto tune = [](const std::string& arguments, const std::string& ledger) {
    return croton_tool::output_of("tune " + arguments + " --flags metaopt.ledger=" + ledger);
  };
  CHECK_THAT(tune("show", file),
             Contains("a machine") && Contains("* gemm") && Contains("1 ms") && Contains("(too slow)") &&
                 Contains("winograd                             -  refuses: filters of (5, 5)"));
  CHECK_THAT(tune("show elsewhere", file), Contains("0 entries with 'elsewhere' in " + file));
  tune("export " + lines, file);
  CHECK_THAT(tune("import " + lines, copy), Contains("1 measurements into " + copy));
  CHECK_THAT(tune("diff " + lines, copy), Contains("1 the same"));
  CHECK_THAT(tune("pin 1 dnn", copy), Contains("entry 1: pinned to dnn"));
  CHECK_THAT(tune("show", copy), Contains("[pinned]") && Contains("* dnn"));
  CHECK_THAT(tune("diff " + lines, copy),
             Contains("gemm 1 ms") && Contains("dnn 2.5 ms") && Contains("0 the same"));
  CHECK_THAT(tune("clear", copy), Contains("removed 1 measurements"));
  CHECK_THAT(tune("diff " + lines, copy), Contains("only in "));
  CHECK_THAT(croton_tool::complaint_of("tune import missing.jsonl --flags metaopt.ledger=" + copy),
             Contains("cannot read missing.jsonl"));
  const auto complaint_about = [&](const std::string& winner, double seconds) {
    LedgerEntry wrong = entry_of("conv2d of something");
    wrong.winner = winner;
    wrong.trials.front().seconds = {seconds};
    croton_tool::write("wrong.jsonl", to_json_line(wrong) + "\n");
    return croton_tool::complaint_of("tune import wrong.jsonl --flags metaopt.ledger=" + copy);
  };
  CHECK_THAT(complaint_about("gemm", -1), Contains("wrong.jsonl:1: dnn was measured with -1 seconds"));
  CHECK_THAT(complaint_about("nobody", 1), Contains("wrong.jsonl:1: the winner, nobody, was not measured"));
  CHECK_THAT(croton_tool::complaint_of("tune show --flags metaopt.ledger=none"),
             Contains("there is no ledger"));
}
