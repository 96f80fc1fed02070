// Croton's side of the benchmarks. Answers tools/bench/run as the programs in peers/ do (the requests are
// described in peers/peer.py), and measures one piece of work by itself:
//
//     build/bin/croton_bench profile KIND SIZE...      where the time goes, a line a node

#include <fmt/format.h>

#include <cmath>
#include <cstdio>
#include <iostream>
#include <limits>
#include <optional>
#include <sstream>
#include <string>
#include <vector>

#include "measure.h"
#include "workload.h"

using namespace croton;

namespace {

double since(Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); }

double device_start = 0;  // seconds that starting the GPU took

Workload make(const std::vector<std::string>& words, std::size_t first) {
  if (words.size() <= first) throw ValueError("a kind of work is wanted, and its sizes");
  const Kind* kind = find_kind(words[first]);
  if (kind == nullptr) throw ValueError(fmt::format("there is no work of the kind {}", words[first]));
  std::vector<std::int64_t> sizes;
  config().set("precision", "ieee");
  for (std::size_t i = first + 1; i < words.size(); ++i) {
    if (const std::size_t at = words[i].find('='); at != std::string::npos) {
      config().set(words[i].substr(0, at), words[i].substr(at + 1));
    } else {
      sizes.push_back(std::stoll(words[i]));
    }
  }
  if (sizes.size() < kind->sizes) {
    throw ValueError(fmt::format("{} takes {} sizes; {} given", kind->name, kind->sizes, sizes.size()));
  }
  // The peers start the GPU and open its libraries before their clock starts: their data lie there.
  const auto start = Clock::now();
  start_device();
  device_start = since(start);
  return kind->make(sizes);
}

/// JSON has no numbers that are not finite.
std::string number(double value) { return std::isfinite(value) ? fmt::format("{}", value) : "null"; }

std::string quoted(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '\n') break;  // the first line says what went wrong
    if (c == '"' || c == '\\') result += '\\';
    result += c;
  }
  return result + '"';
}

std::string prepare(const std::vector<std::string>& words, std::optional<Workload>& ready) {
  ready.reset();
  ready = make(words, 1);
  ready->call();
  finish_calls();
  const double first = since(ready->begin);
  return fmt::format(
      R"({{"version": "{}", "bytes": {}, "operations": {}, "implementations": {{"Croton": {{"first_call": {}, "check": {}}}}}}})",
      version(), ready->bytes, ready->operations, first, number(ready->check()));
}

std::string answer(const std::vector<std::string>& words, std::optional<Workload>& ready) {
  if (words[0] == "prepare") return prepare(words, ready);
  if (words[0] != "measure" || words.size() != 3) throw ValueError("not a request: " + words[0]);
  if (!ready) throw ValueError("nothing is prepared");
  return fmt::format(R"({{"seconds": {}}})",
                     seconds_per_call(ready->call, finish_calls, std::stod(words[2])));
}

void serve() {
  std::optional<Workload> ready;
  for (std::string line; std::getline(std::cin, line);) {
    std::istringstream stream(line);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (words.empty()) continue;
    if (words[0] == "quit") return;
    std::string reply;
    try {
      reply = answer(words, ready);
    } catch (const std::exception& error) {  // the runner reports it and goes on with other work
      reply = fmt::format(R"({{"error": {}}})", quoted(error.what()));
    }
    fmt::print("{}\n", reply);
    std::fflush(stdout);
  }
}

void once(const std::vector<std::string>& words) {
  const double start = resident_bytes();
  Workload work = make(words, 2);
  work.call();
  finish_calls();
  const double seconds = since(work.begin);
  const double check = work.check();
  for (int i = 0; i < 10; ++i) work.call();
  finish_calls();
  const CompileTimes times = work.function.compile_times();
  fmt::print(
      R"({{"seconds": {}, "check": {}, "memory": {}, "phases": {{"device": {}, "build": {}, "optimize": {}, "specialize": {}, "lower": {}, "compile": {}, "plan": {}}}}})"
      "\n",
      seconds, number(check), most_resident_bytes() - start, device_start + times.device, times.build,
      times.optimize, times.specialize, times.lower, times.compile, times.plan);
  std::fflush(stdout);
  // The runner looks at the memory that is held on the device, then ends the input.
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}

void profile(const std::vector<std::string>& words) {
  config().set("profile", "true");
  const Workload work = make(words, 1);
  const double seconds = seconds_per_call(work.call, finish_calls, 2);
  fmt::print("{} us a call\n{}\n{}", seconds * 1e6, work.function.plan_text(),
             work.function.profile().to_text());
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    if (words.empty()) {
      serve();
    } else if (words[0] == "once") {
      once(words);
    } else if (words[0] == "profile") {
      profile(words);
    } else {
      throw ValueError(fmt::format("{} is none of once, profile", words[0]));
    }
  } catch (const std::exception& error) {
    fmt::print(stderr, "croton_bench: {}\n", error.what());
    return 2;
  }
}
