#include "croton/runtime/profile.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <map>

namespace croton {

namespace {

void append_line(std::string& text, const Profile::Row& row, double steps_seconds) {
  const double total = steps_seconds > 0 ? steps_seconds : 1;
  const double calls = static_cast<double>(row.calls);
  const auto rate = [&](double amount) {
    return row.seconds > 0 ? fmt::format("{:9.2f}", 1e-9 * amount * calls / row.seconds)
                           : fmt::format("{:>9}", "-");
  };
  fmt::format_to(std::back_inserter(text), "{:5.1f} % {:11.6f} {:12.3f} {:8} {} {}  {}\n",
                 100 * row.seconds / total, row.seconds, 1e6 * row.seconds / std::max(calls, 1.0), row.calls,
                 rate(row.bytes), rate(row.operations), row.label);
}

}  // namespace

std::string Profile::to_text() const {
  double steps_seconds = 0;
  for (const Row& row : rows) steps_seconds += row.seconds;
  std::string text = fmt::format(
      "function '{}': {} calls in {:.6f} s, {:.6f} s of it ({:.1f} %) in nodes\n"
      "compiling: {:.3f} s (build {:.3f}, optimize {:.3f}, specialize {:.3f}, lower {:.3f}, machine code "
      "{:.3f}, "
      "plan {:.3f})\n",
      function, calls, seconds, steps_seconds, seconds > 0 ? 100 * steps_seconds / seconds : 0.0,
      compile.total(), compile.build, compile.optimize, compile.specialize, compile.lower, compile.compile,
      compile.plan);
  const std::string_view head = "  share     seconds     us a call    calls      GB/s   GFLOP/s  ";

  std::map<std::string, Row> by_label;
  for (const Row& row : rows) {
    Row& sum = by_label[row.label];
    const double before = static_cast<double>(sum.calls), added = static_cast<double>(row.calls);
    sum.label = row.label;
    sum.calls += row.calls;
    sum.seconds += row.seconds;
    if (sum.calls == 0) continue;
    sum.bytes = (sum.bytes * before + row.bytes * added) / (before + added);
    sum.operations = (sum.operations * before + row.operations * added) / (before + added);
  }
  std::vector<Row> ops;
  for (auto& [label, row] : by_label) ops.push_back(std::move(row));
  std::ranges::stable_sort(ops, std::greater<>(), &Row::seconds);
  text += fmt::format("\nby op\n{}op\n", head);
  for (const Row& row : ops) append_line(text, row, steps_seconds);

  text += fmt::format("\nby node\n{}node\n", head);
  for (const Row& row : rows) {
    append_line(text, row, steps_seconds);
    text += fmt::format("          {}{}{}, {}\n", row.kind, row.where.empty() ? "" : ", made at ", row.where,
                        row.shapes);
  }
  return text + "\n" + rewriting.text();
}

}  // namespace croton
