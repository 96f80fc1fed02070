#include "pass_times.h"

#include <croton/runtime/call_timer.h>
#include <croton/runtime/device_choice.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <random>
#include <sstream>

#include "interrupt.h"
#include "svg.h"

using namespace croton;

namespace {

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/// Why it failed, in a line: of a convolution that nobody takes, the reason of whom was asked, whose name
/// begins like `name`, otherwise of the first who refuses or is excluded.
std::string first_reason(const std::string& text, const std::string& name) {
  std::string refusal;
  std::istringstream lines(text);
  std::string line;
  std::getline(lines, line);
  const std::string head = line;
  while (std::getline(lines, line)) {
    line.erase(0, line.find_first_not_of(' '));
    if (line.starts_with(name)) return line;
    const bool is_reason = line.find(": refuses: ") != std::string::npos ||
                           line.find(": excluded by optimizer_excluding") != std::string::npos;
    if (refusal.empty() && is_reason) refusal = line;
  }
  return refusal.empty() ? head : refusal;
}

/// On terminals in blue.
std::string in_colour(const std::string& text) {
  const bool is_coloured = isatty(STDOUT_FILENO) != 0 && std::getenv("NO_COLOR") == nullptr;
  return is_coloured ? "\033[1;34m" + text + "\033[1;m" : text;
}

/// The words of the environment variable SKIP.
std::vector<std::string> skipped_names() {
  const char* const skip = std::getenv("SKIP");
  std::vector<std::string> names;
  std::istringstream list(skip == nullptr ? "" : skip);
  for (std::string name; std::getline(list, name, ',');) {
    name.erase(0, name.find_first_not_of(' '));
    name.erase(name.find_last_not_of(' ') + 1);
    if (!name.empty()) names.push_back(lower_case(name));
  }
  return names;
}

std::string quoted(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') json += '\\';
    json += c;
  }
  return json + "\"";
}

void write_file(const std::string& path, const std::string& text) {
  OutputFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace

std::string convolution_labels(const Function& function) {
  std::vector<std::pair<std::string, int>> found;
  const auto graph = function.plan_graph();
  if (graph == nullptr) return {};
  for (const Ref<Node>& node : graph->nodes()) {
    if (!node->is_apply() || !node->attributes().contains("direction")) continue;
    const std::string label = node->op().label(*node);
    const auto known =
        std::find_if(found.begin(), found.end(), [&](const auto& entry) { return entry.first == label; });
    if (known == found.end()) {
      found.emplace_back(label, 1);
    } else {
      ++known->second;
    }
  }
  std::sort(found.begin(), found.end());
  std::string text;
  for (const auto& [label, count] : found)
    text += (text.empty() ? "" : ", ") + label + (count == 1 ? "" : fmt::format(" x {}", count));
  return text;
}

Device present_device() { return choose_device(std::string(config().device())); }

PassReport::PassReport(int trials, int calls, std::string file)
    : trials_(trials), calls_(calls), file_(std::move(file)) {}

void PassReport::line(const std::string& text) {
  fmt::print("{}\n", text);
  std::fflush(stdout);
  text_ += text + "\n";
}

void PassReport::measure(const std::string& run, const std::string& name, const std::string& pass,
                         double flops, const std::function<Function()>& make) {
  check_interrupt();
  PassTime time;
  time.run = run;
  time.name = name;
  time.pass = pass;
  time.flops = flops;
  try {
    const Function function = make();
    const auto timer = make_call_timer(present_device());
    function();  // compiles, and warms up
    timer->finish();
    if (const char* print = std::getenv("PRINT_GRAPH"); print != nullptr && std::string(print) != "0") {
      const auto compiled = function.plan_graph();
      const std::string graph = debugprint_text(compiled == nullptr ? function.graph() : *compiled);
      fmt::print("{}\n", in_colour(graph));
      text_ += graph + "\n";
    }
    time.seconds = INFINITY;
    for (int trial = 0; trial < trials_; ++trial) {
      check_interrupt();
      const double seconds = timer->seconds([&] {
        for (int call = 0; call < calls_; ++call) function();
      });
      time.seconds = std::min(time.seconds, seconds / calls_);
    }
    time.algorithm = convolution_labels(function);
    line(fmt::format("{:<50} ==> {:<13} ==> {:>7}  {:>12.1f} us {:>8.3f} TFLOP/s  {}", name, pass,
                     static_cast<std::int64_t>(time.seconds * 1e3), time.seconds * 1e6,
                     flops / time.seconds * 1e-12, time.algorithm));
  } catch (const std::exception& error) {
    time.failure = first_reason(error.what(), name);
    line(fmt::format("{} {}: FAILED {}", name, pass, time.failure));
  }
  times_.push_back(std::move(time));
}

void PassReport::save() const {
  if (!file_.empty()) write_file(file_, text_);
}

void PassReport::save_json(const std::string& file) const {
  std::string text;
  for (const PassTime& t : times_) {
    text += fmt::format("{{\"run\": {}, \"name\": {}, \"pass\": {}, ", quoted(t.run), quoted(t.name),
                        quoted(t.pass));
    text += t.failure.empty()
                ? fmt::format("\"microseconds\": {:.3f}, \"tflops\": {:.6f}, \"algorithm\": {}}}\n",
                              t.seconds * 1e6, t.flops / t.seconds * 1e-12, quoted(t.algorithm))
                : fmt::format("\"failed\": {}}}\n", quoted(t.failure));
  }
  write_file(file, text);
}

void PassReport::save_chart(const std::string& file, const std::string& title) const {
  constexpr double left = 330, bar = 14, width = 500;
  std::map<std::string, double> longest;  // of each run: those of others may be a thousand times longer
  double height = 50;
  std::string run;
  for (const PassTime& t : times_) {
    if (!t.failure.empty()) continue;
    longest[t.run] = std::max(longest[t.run], t.seconds);
    height += bar + (t.run == run ? 0 : 2 * bar);
    run = t.run;
  }
  Svg svg(left + width + 110, height + 10);
  svg.text(10, 24, title, 14);
  double y = 30;
  run.clear();
  for (const PassTime& t : times_) {
    if (!t.failure.empty()) continue;
    if (t.run != run) {
      y += 2 * bar;
      svg.text(10, y - 3, t.run, 12);
      run = t.run;
    }
    const char* colour = t.pass == "fprop" ? "#2c6fbb" : t.pass == "bprop inputs" ? "#c0392b" : "#e0a030";
    const double length = std::max(1.0, width * t.seconds / longest[t.run]);
    svg.text(left - 6, y + bar - 4, t.name + ", " + t.pass, 10, "end");
    svg.rectangle(left, y + 1, length, bar - 2, colour);
    svg.text(left + length + 4, y + bar - 4, fmt::format("{:.4g} ms", t.seconds * 1e3), 10);
    y += bar;
  }
  svg.save(file);
}

Function ConvPasses::forward(const std::string& name) const {
  return function({}, {},
                  {.updates = {{shared_y, y}}, .givens = {{x, shared_x}}, .mode = mode, .name = name});
}

Function ConvPasses::backward_inputs(const std::string& name) const {
  const Variable gradient = grad(none, x, {.known_grads = {{y, shared_y}}});
  return function({}, {},
                  {.updates = {{shared_x, gradient}}, .givens = {{x, shared_x}}, .mode = mode, .name = name});
}

Function ConvPasses::backward_weights(const std::string& name) const {
  const Variable gradient = grad(none, Variable(shared_w), {.known_grads = {{y, shared_y}}});
  return function({}, {},
                  {.updates = {{shared_w, gradient}}, .givens = {{x, shared_x}}, .mode = mode, .name = name});
}

void ConvPasses::measure(PassReport& report, const std::string& run, const std::string& name,
                         double flops) const {
  report.measure(run, name, "fprop", flops, [&] { return forward(name + " fprop"); });
  report.measure(run, name, "bprop inputs", flops, [&] { return backward_inputs(name + " bprop inputs"); });
  report.measure(run, name, "bprop weights", flops,
                 [&] { return backward_weights(name + " bprop weights"); });
  report.line("");
}

Tensor normal_values(const Shape& shape, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Tensor values = Tensor::empty(shape, DType::float32);
  for (std::int64_t i = 0; i < values.size(); ++i) values.data<float>()[i] = normal(random);
  return values;
}

bool is_skipped(const std::string& name) {
  const std::vector<std::string> names = skipped_names();
  return std::find(names.begin(), names.end(), lower_case(name)) != names.end();
}

void check_skipped(const std::vector<std::string>& names) {
  for (const std::string& skipped : skipped_names()) {
    const auto is_meant = [&](const std::string& name) { return lower_case(name) == skipped; };
    if (std::none_of(names.begin(), names.end(), is_meant))
      throw ValueError(
          fmt::format("SKIP: there is no '{}' to leave out; there are {}", skipped, fmt::join(names, ", ")));
  }
}
