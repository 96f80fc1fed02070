// Profiles, traces, and debugprint of functions that have run.

#include "croton/runtime/profile.h"

#include <catch2/catch.hpp>
#include <chrono>
#include <nlohmann/json.hpp>

#include "croton/croton.h"
#include "croton/runtime/call_sampler.h"
#include "croton/runtime/debugprint_function.h"
#include "croton/runtime/trace.h"
#include "tool_run.h"

using namespace croton;
using Catch::Matchers::Contains;
using Catch::Matchers::StartsWith;

namespace {

Function layer(const char* name) {
  const Variable x = matrix("x"), w = matrix("w"), b = vector("b");
  return function({x, w, b}, sum(tanh(dot(x, w) + b)), {.name = name, .profile = true});
}

void call(const Function& f, int times) {
  const Tensor x = Tensor::ones({64, 32}, DType::float32), w = Tensor::ones({32, 16}, DType::float32),
               b = Tensor::ones({16}, DType::float32);
  for (int i = 0; i < times; ++i) f(x, w, b);
}

}  // namespace

TEST_CASE("the sampler measures short calls rarely and long ones always", "[runtime][profile]") {
  CallSampler slow, quick;
  for (int i = 0; i < 200; ++i) {
    if (slow.begin()) slow.end(1'000'000'000, 10);
    if (quick.begin()) quick.end(clock_cost() * 10, 10);
  }
  CHECK(slow.measured() == 200);
  CHECK(slow.seconds() == Approx(200));
  CHECK(quick.calls() == 200);
  CHECK(quick.measured() < 20);
  CallSampler thorough(true);
  for (int i = 0; i < 200; ++i) {
    if (thorough.begin()) thorough.end(clock_cost() * 10, 10);
  }
  CHECK(thorough.measured() == 200);
}

TEST_CASE("profiles sum nodes by op and class, beside the machine's peak", "[runtime][profile]") {
  const Function f = layer("layer");
  call(f, 3);
  const Profile profile = f.profile();
  CHECK(profile.calls == 3);
  CHECK(profile.measured_calls >= 1);
  CHECK(profile.peak.bytes_per_second > 1e8);
  CHECK(profile.peak.operations_per_second > 1e8);
  double by_node = 0, by_op = 0, by_class = 0;
  for (const Profile::Row& row : profile.rows) by_node += row.seconds;
  for (const Profile::Row& row : profile.by_op()) by_op += row.seconds;
  std::size_t nodes = 0;
  for (const Profile::Row& row : profile.by_class()) {
    by_class += row.seconds;
    nodes += row.nodes;
    CHECK(row.label.find('{') == std::string::npos);
  }
  CHECK(by_op == Approx(by_node));
  CHECK(by_class == Approx(by_node));
  CHECK(nodes == profile.rows.size());
  const std::string text = profile.to_text();
  CHECK_THAT(text, StartsWith("function 'layer': 3 calls in "));
  for (const char* section :
       {"\nmeasured: ", "\nmachine: ", "\ncompiling: ", "\nby class\n", "\nby op\n", "\nby node\n",
        "\ntransfers between host and device: ", "\nMemory ", "\nrewriting "})
    CHECK_THAT(text, Contains(section));
  const std::string little = profile.to_text({.nodes = 1, .memory = false, .rewriting = false});
  CHECK_THAT(little, !Contains("\nMemory ") && !Contains("\nrewriting ") && Contains("(remaining "));
}

TEST_CASE("profiles have the memory of a plan over time", "[runtime][profile][memory]") {
  const Variable x = tensor(DType::float32, {1000, 100}, "x"), w = tensor(DType::float32, {100, 50}, "w");
  const Variable h = dot(x, w);
  const Function f = function({x, w}, sum(dot(tanh(h), w.T())), {.profile = true});
  f(Tensor::ones({1000, 100}, DType::float32), Tensor::ones({100, 50}, DType::float32));
  const Profile profile = f.profile();
  REQUIRE(profile.memory.size() == 1);
  const MemoryProfile& memory = profile.memory[0];
  // tanh computes over the product: its 1000 x 50 floats are saved.
  CHECK(memory.reuses == 1);
  CHECK(memory.reused_bytes == 1000 * 50 * sizeof(float));
  CHECK(memory.peak_bytes >= 1000 * (50 + 100) * sizeof(float));
  CHECK(memory.peak_bytes_without_reuse >= memory.peak_bytes);
  CHECK(memory.sum_bytes > memory.peak_bytes);
  CHECK_FALSE(memory.timeline.empty());
  std::size_t highest = 0;
  for (const auto& [label, bytes] : memory.timeline) highest = std::max(highest, bytes);
  CHECK(highest == memory.peak_bytes);
  std::size_t alive = 0;
  for (const MemoryProfile::Value& value : memory.at_peak) alive += value.bytes;
  CHECK(alive == memory.peak_bytes);
  CHECK(std::ranges::is_sorted(memory.at_peak, std::greater<>(), &MemoryProfile::Value::bytes));
}

TEST_CASE("debugprint of a profiled function has times and places", "[runtime][profile][debugprint]") {
  const Function f = layer("timed");
  CHECK(debugprint_text(f).find("-->") == std::string::npos);
  call(f, 2);
  const std::string text = debugprint_text(f, {.print_storage = true});
  CHECK_THAT(text, StartsWith("Timing Info\n") && Contains("% time") && Contains(" result 0 --> ") &&
                       Contains("x [@") && Contains(" input 0"));
  CHECK_THAT(text, Contains("100.0%\n"));  // the root needs everything
}

TEST_CASE("traces are JSON that Perfetto reads", "[runtime][profile][trace]") {
  Trace trace("unused.json");
  const auto now = std::chrono::steady_clock::now();
  const Trace::Label label = trace.label("Dot22 \"quoted\"\n", {{"made at", "lenet.cpp:5"}});
  trace.running(label);
  trace.slice(label, now, now + std::chrono::microseconds(5));
  trace.worker_slice(1, now, now + std::chrono::microseconds(3));
  trace.device_slice(1, label, now, now + std::chrono::microseconds(2));
  trace.phases(now, {{"optimize", 1e-3}, {"nothing", 0}, {"lower", 2e-3}});
  const auto json = nlohmann::json::parse(trace.to_json());
  const auto& events = json.at("traceEvents");
  std::size_t slices = 0;
  double optimized = 0, lowered = 0;
  for (const auto& event : events) {
    if (event.at("ph") != "X") continue;
    ++slices;
    if (event.at("name") == "optimize")
      optimized = event.at("ts").get<double>() + event.at("dur").get<double>();
    if (event.at("name") == "lower") lowered = event.at("ts").get<double>();
    if (event.at("name") == "Dot22 \"quoted\"\n") CHECK(event.at("args").at("made at") == "lenet.cpp:5");
  }
  CHECK(slices == 5);
  CHECK_THAT(trace.to_json(), Contains("\"stream of cuda1\""));
  CHECK(lowered == Approx(optimized));
}

TEST_CASE("croton profile runs a graph and writes a trace", "[tools][profile][trace]") {
  using namespace croton_tool;
  const std::string text = output_of(
      "profile --inputs 'x: float32[64,32], w: float32[32,16]' -e 'sum(tanh(dot(x, w)))' --calls 3 "
      "--trace-file t.json");
  CHECK_THAT(text, StartsWith("function 'graph': 3 calls in ") && Contains("Dot22") && Contains("by class"));
  const auto json = nlohmann::json::parse(read(path("t.json")));
  std::size_t calls = 0, products = 0, phases = 0;
  for (const auto& event : json.at("traceEvents")) {
    if (event.at("ph") != "X") continue;
    calls += event.at("name") == "graph";
    const auto name = event.at("name").get<std::string>();
    if (name.starts_with("enqueue ")) continue;  // what the host does for it
    products += name.ends_with("Dot22");         // GpuDot22 on a GPU
    phases += event.at("name") == "machine code";
    if (name.ends_with("Dot22")) CHECK(event.at("args").at("node") == name);
    if (name == "GpuDot22") CHECK(event.at("tid").get<int>() >= 1'000'000);  // of the device
  }
  CHECK(calls == 3);
  CHECK(products == 3);
  CHECK(phases == 1);
  CHECK_THAT(complaint_of("profile --inputs 'x: matrix' -e 'tanh(x)'"),
             Contains("give it with --shapes 'x=["));
  CHECK_THAT(complaint_of("profile --inputs 'x: scalar' -e 'tanh(x)' --calls 0"), Contains("at least 1"));
}

TEST_CASE("flags say what profiles show and count", "[runtime][profile][flags]") {
  const Function f = layer("flagged");
  call(f, 2);
  {
    const ConfigScope scope({{"profiling.n_apply", "1"},
                             {"profile_memory", "false"},
                             {"profile_optimizer", "false"},
                             {"profiling.min_memory_size", "1000000"}});
    CHECK_THAT(f.profile().to_text(),
               !Contains("\nMemory ") && !Contains("\nrewriting ") && Contains("(remaining "));
    CHECK_THAT(f.profile().to_text({.smallest_value = 1000000}), Contains(" smaller ones"));
  }
  {
    const ConfigScope scope({{"profiling.output_line_width", "4"}});
    CHECK_THAT(f.profile().to_text(), Contains("  Dot2…\n") || Contains("  GpuD…\n"));
  }
  const ConfigScope scope({{"profiling.ignore_first_call", "true"}});
  const Function g = layer("later");
  call(g, 1);
  CHECK(g.profile().calls == 0);
  call(g, 2);
  CHECK(g.profile().calls == 2);
  for (const Profile::Row& row : g.profile().rows) CHECK(row.calls == 2);
}

TEST_CASE("functions in modes that check are not profiled", "[runtime][profile][check]") {
  const Variable x = vector("x");
  CHECK_THROWS_WITH(
      function({x}, x + 1, {.mode = "DebugMode", .name = "f", .profile = true}),
      StartsWith("function 'f': what DebugMode runs beside the function would be measured too"));
  const ConfigScope scope({{"profile", "true"}});
  const Function f = function({x}, x + 1, {.mode = "NanGuardMode"});
  CHECK_THROWS_AS(f.profile(), ValueError);
}

TEST_CASE("profiles at the end of a program go where the flag says", "[tools][profile][flags]") {
  using namespace croton_tool;
  output_of(
      "eval -e 'sum(tanh(x))' x=[1.5,2] --flags "
      "profile=true,profiling.destination=profile.txt,profiling.debugprint=true");
  const std::string text = read(path("profile.txt"));
  CHECK_THAT(text, StartsWith("function '") && Contains("\nby node\n") && Contains("\nTiming Info\n"));
}

TEST_CASE("a flag makes any program write a trace", "[tools][profile][trace][flags]") {
  using namespace croton_tool;
  output_of("eval -e 'sum(tanh(x))' x=[1.5,2] --flags profiling.trace_file=eval.json");
  const auto json = nlohmann::json::parse(read(path("eval.json")));
  bool has_call = false;
  for (const auto& event : json.at("traceEvents")) has_call = has_call || event.at("ph") == "X";
  CHECK(has_call);
}
