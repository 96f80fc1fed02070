#include "croton/runtime/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

#include "croton/graph/flags.h"
#include "croton/runtime/trace.h"

namespace croton {

namespace {

/// No longer than profiling.output_line_width says, cut between characters.
std::string cut(const std::string& label) {
  const auto is_within = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };  // of UTF-8
  std::size_t most = static_cast<std::size_t>(config().profiling_output_line_width());
  if (label.size() <= most) return label;
  while (most > 0 && is_within(label[most])) --most;
  return label.substr(0, most) + "…";
}

std::string family(const std::string& label) { return label.substr(0, label.find('{')); }

template <class Key>
std::vector<Profile::Row> summed(const std::vector<Profile::Row>& rows, const Key& key) {
  std::map<std::string, Profile::Row> sums;
  for (const Profile::Row& row : rows) {
    Profile::Row& sum = sums[key(row.label)];
    const double before = static_cast<double>(sum.calls), added = static_cast<double>(row.calls);
    sum.nodes = sum.label.empty() ? row.nodes : sum.nodes + row.nodes;
    sum.label = key(row.label);
    sum.calls += row.calls;
    sum.seconds += row.seconds;
    if (sum.calls == 0) continue;
    sum.bytes = (sum.bytes * before + row.bytes * added) / (before + added);
    sum.operations = (sum.operations * before + row.operations * added) / (before + added);
  }
  std::vector<Profile::Row> list;
  for (auto& [label, row] : sums) list.push_back(std::move(row));
  std::ranges::stable_sort(list, std::greater<>(), &Profile::Row::seconds);
  return list;
}

constexpr std::string_view head =
    "  share    sum     seconds   us a call    calls  nodes            GB/s         GFLOP/s";

/// The tables of a profile.
class Tables {
 public:
  explicit Tables(const Profile& profile) : profile_(profile) {
    for (const Profile::Row& row : profile.rows) steps_seconds_ += row.seconds;
  }
  double steps_seconds() const { return steps_seconds_; }

  void add(std::string& text, std::string_view title, const std::vector<Profile::Row>& rows, std::size_t most,
           bool details) const {
    fmt::format_to(std::back_inserter(text), "\n{}\n{}\n", title, head);
    const double total = steps_seconds_ > 0 ? steps_seconds_ : 1;
    double sum = 0;
    for (std::size_t i = 0; i < std::min(most, rows.size()); ++i) {
      sum += rows[i].seconds;
      line(text, rows[i], sum / total, total);
      if (details)
        fmt::format_to(std::back_inserter(text), "          {}{}{}, {}\n", rows[i].kind,
                       rows[i].where.empty() ? "" : ", made at ", rows[i].where, rows[i].shapes);
    }
    if (rows.size() > most)
      fmt::format_to(std::back_inserter(text), "   … (remaining {} account for {:.1f} %)\n",
                     rows.size() - most, 100 * (1 - sum / total));
  }

 private:
  void line(std::string& text, const Profile::Row& row, double sum, double total) const {
    const double calls = static_cast<double>(row.calls);
    // A rate, and how much that is of what the machine reaches.
    const auto rate = [&](double amount, double peak) {
      if (row.seconds <= 0 || amount <= 0) return fmt::format("{:>15}", "-");
      const double achieved = amount * calls / row.seconds;
      const std::string share =
          peak > 0 ? fmt::format("{:>6}", fmt::format("{:.0f} %", 100 * achieved / peak)) : "";
      return fmt::format("{:>9.2f}{:>6}", 1e-9 * achieved, share);
    };
    fmt::format_to(std::back_inserter(text), "{:5.1f} % {:5.1f} % {:11.6f} {:11.3f} {:8} {:6} {} {}  {}\n",
                   100 * row.seconds / total, 100 * sum, row.seconds,
                   1e6 * row.seconds / std::max(calls, 1.0), row.calls, row.nodes,
                   rate(row.bytes, profile_.peak.bytes_per_second),
                   rate(row.operations, profile_.peak.operations_per_second), cut(row.label));
  }

  const Profile& profile_;
  double steps_seconds_ = 0;
};

std::string size_text(std::size_t bytes) {
  const double b = static_cast<double>(bytes);
  if (bytes < 10'000) return fmt::format("{} B", bytes);
  if (b < 1e7) return fmt::format("{:.1f} KiB", b / 1024);
  return fmt::format("{:.1f} MiB", b / (1 << 20));
}

void add_memory(std::string& text, const MemoryProfile& memory, std::size_t smallest) {
  const auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "\nMemory (without arguments, constants and old values of shared variables)\n"
                 "  {} at the peak, in {}\n"
                 "  {} if no node computed over an input ({} nodes do, over {})\n"
                 "  {} if every value had memory of its own; the arena takes {}\n",
                 size_text(memory.peak_bytes), memory.peak_step, size_text(memory.peak_bytes_without_reuse),
                 memory.reuses, size_text(memory.reused_bytes), size_text(memory.sum_bytes),
                 size_text(memory.arena_bytes));
  text += "  alive at the peak\n";
  std::size_t left = 0, left_bytes = 0;
  for (const MemoryProfile::Value& value : memory.at_peak) {
    if (value.bytes < smallest) {
      ++left;
      left_bytes += value.bytes;
      continue;
    }
    fmt::format_to(out, "    {:>12}  {}{}{}{}\n", size_text(value.bytes), value.label,
                   value.is_result ? " (a result)" : "", value.where.empty() ? "" : ", made at ",
                   value.where);
  }
  if (left > 0) fmt::format_to(out, "    {:>12}  in {} smaller ones\n", size_text(left_bytes), left);
  text += "  over time\n";
  constexpr std::size_t most_lines = 40, width = 40;
  const std::size_t stride = (memory.timeline.size() + most_lines - 1) / most_lines;
  for (std::size_t i = 0; i < memory.timeline.size(); i += stride) {
    // Of the steps that share a line the one with the most.
    std::size_t at = i;
    for (std::size_t j = i; j < std::min(i + stride, memory.timeline.size()); ++j) {
      if (memory.timeline[j].second > memory.timeline[at].second) at = j;
    }
    const auto& [label, bytes] = memory.timeline[at];
    const std::size_t bar =
        memory.peak_bytes == 0 ? 0 : (bytes * width + memory.peak_bytes / 2) / memory.peak_bytes;
    fmt::format_to(out, "    {:4} {:>12}  {:<{}}  {}\n", at, size_text(bytes), std::string(bar, '#'), width,
                   label);
  }
}

}  // namespace

std::vector<Profile::Row> Profile::by_op() const {
  return summed(rows, [](const std::string& label) { return label; });
}

std::vector<Profile::Row> Profile::by_class() const { return summed(rows, family); }

ProfileTextOptions ProfileTextOptions::from_flags() {
  const Config& flags = config();
  return {.nodes = static_cast<std::size_t>(flags.profiling_n_apply()),
          .ops = static_cast<std::size_t>(flags.profiling_n_ops()),
          .smallest_value = static_cast<std::size_t>(flags.profiling_min_memory_size()),
          .memory = flags.profile_memory(),
          .rewriting = flags.profile_optimizer()};
}

void trace_to(const std::string& path) { Trace::start(path); }

std::string Profile::to_text(const ProfileTextOptions& options) const {
  const Tables tables(*this);
  const double per_call = calls > 0 ? 1e6 * seconds / static_cast<double>(calls) : 0;
  std::string text = fmt::format(
      "function '{}': {} calls in {:.6f} s ({:.3f} us each), {:.6f} s of it ({:.1f} %) in nodes\n", function,
      calls, seconds, per_call, tables.steps_seconds(),
      seconds > 0 ? 100 * tables.steps_seconds() / seconds : 0.0);
  const double cost = seconds > 0 ? 100 * measuring_seconds / seconds : 0;
  if (measured_calls < calls) {
    text += fmt::format(
        "measured: {} of the calls, for measuring each would take too long beside them; the times are those "
        "of "
        "all calls as these let expect; measuring took {:.2f} % of the time\n",
        measured_calls, cost);
  } else {
    text += fmt::format("measured: every call; measuring took {:.2f} % of the time\n", cost);
  }
  if (peak.bytes_per_second > 0)
    text += fmt::format(
        "machine: {:.2f} GB/s, {:.1f} GFLOP/s measured (a sum of long vectors; a product of large float32 "
        "matrices "
        "or a faster step); behind the rates below stands how much of that they are\n",
        1e-9 * peak.bytes_per_second, 1e-9 * peak.operations_per_second);
  text += fmt::format(
      "compiling: {:.3f} s ({}build {:.3f}, optimize {:.3f}, specialize {:.3f}, lower {:.3f}, machine code "
      "{:.3f}, "
      "plan {:.3f})\n",
      compile.total(),
      compile.device > 0 ? fmt::format("start of the GPU {:.3f}, ", compile.device) : std::string(),
      compile.build, compile.optimize, compile.specialize, compile.lower, compile.compile, compile.plan);

  tables.add(text, "by class", by_class(), options.ops, false);
  tables.add(text, "by op", by_op(), options.ops, false);
  tables.add(text, "by node", rows, options.nodes, true);

  std::vector<Row> transfers;
  std::ranges::copy_if(rows, std::back_inserter(transfers), &Row::is_transfer);
  if (transfers.empty()) {
    text += "\ntransfers between host and device: none\n";
  } else {
    double bytes = 0, time = 0;
    for (const Row& row : transfers) {
      bytes += 0.5 * row.bytes;  // read here, written there
      time += row.seconds;
    }
    tables.add(text,
               fmt::format("transfers between host and device: {} a call, {:.6f} s in all",
                           size_text(static_cast<std::size_t>(bytes)), time),
               transfers, options.ops, true);
  }
  if (options.memory && !memory.empty()) add_memory(text, memory.front(), options.smallest_value);
  if (options.rewriting) text += "\n" + rewriting.text();
  return text;
}

}  // namespace croton
