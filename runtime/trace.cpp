#include "croton/runtime/trace.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>

#include "croton/codegen/work_observer.h"
#include "croton/graph/error.h"
#include "croton/graph/message.h"
#include "croton/graph/output_file.h"

namespace croton {

namespace {

constexpr std::int32_t first_caller = 1000;  // below: workers of the pool
constexpr std::int32_t first_device = 1'000'000;

std::string track_name(std::int32_t track) {
  if (track >= first_device) return fmt::format("stream of cuda{}", track - first_device);
  if (track >= first_caller) return fmt::format("calls {}", track - first_caller);
  return fmt::format("worker {}", track);
}

std::int32_t thread_number() {
  static std::atomic<std::int32_t> next{first_caller};
  thread_local const std::int32_t number = next.fetch_add(1);
  return number;
}

std::string quoted(const std::string& text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      result += '\\';
      result += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      result += fmt::format("\\u{:04x}", static_cast<unsigned>(static_cast<unsigned char>(c)));
    } else {
      result += c;
    }
  }
  return result + '"';
}

std::int64_t nanoseconds(std::chrono::steady_clock::duration time) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
}

void note_worker(int worker, std::chrono::steady_clock::time_point start,
                 std::chrono::steady_clock::time_point end) {
  Trace::active()->worker_slice(worker, start, end);
}

struct AtExit {
  Trace* trace = nullptr;
  ~AtExit() {
    if (trace != nullptr) trace->write();
  }
};

}  // namespace

std::atomic<Trace*> Trace::active_{nullptr};

void Trace::start(const std::string& path) {
  static AtExit at_exit;
  static const bool is_started = [&] {
    at_exit.trace = new Trace(path);  // outlives every thread
    active_.store(at_exit.trace, std::memory_order_release);
    observe_workers(&note_worker);
    return true;
  }();
  static_cast<void>(is_started);
}

Trace::Trace(std::string path) : path_(std::move(path)), begin_(std::chrono::steady_clock::now()) {
  slices_.resize(most_slices);
  names_.push_back({"unknown", {}});
}

Trace::Label Trace::label(std::string name, std::vector<std::pair<std::string, std::string>> details) {
  const std::lock_guard guard(mutex_);
  names_.push_back({std::move(name), std::move(details)});
  return static_cast<Label>(names_.size() - 1);
}

void Trace::add(Label label, std::int32_t thread, Time start, Time end) noexcept {
  const std::size_t at = count_.fetch_add(1, std::memory_order_relaxed);
  if (at < most_slices) slices_[at] = {label, thread, nanoseconds(start - begin_), nanoseconds(end - start)};
}

void Trace::slice(Label label, Time start, Time end) noexcept { add(label, thread_number(), start, end); }

void Trace::device_slice(int ordinal, Label label, Time start, Time end) noexcept {
  add(label, first_device + ordinal, start, end);
}

void Trace::worker_slice(int worker, Time start, Time end) noexcept {
  add(running_.load(std::memory_order_relaxed), worker, start, end);
}

void Trace::phases(Time start, const std::vector<std::pair<std::string, double>>& seconds) {
  for (const auto& [name, time] : seconds) {
    const Time end = start + std::chrono::nanoseconds(static_cast<std::int64_t>(time * 1e9));
    if (time > 0) slice(label(name), start, end);
    start = end;
  }
}

std::string Trace::to_json() const {
  const std::lock_guard guard(mutex_);
  const std::size_t asked = count_.load(), count = std::min(asked, most_slices);
  std::string text = "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n";
  const auto out = [&] { return std::back_inserter(text); };
  const auto process = static_cast<int>(::getpid());
  std::set<std::int32_t> threads;
  for (std::size_t i = 0; i < count; ++i) {
    const Slice& slice = slices_[i];
    const Name& name = names_[slice.label];
    threads.insert(slice.thread);
    fmt::format_to(out(), "{{\"ph\":\"X\",\"pid\":{},\"tid\":{},\"ts\":{:.3f},\"dur\":{:.3f},\"name\":{}",
                   process, slice.thread, 1e-3 * static_cast<double>(slice.start),
                   1e-3 * static_cast<double>(slice.nanoseconds), quoted(name.name));
    if (!name.details.empty()) {
      text += ",\"args\":{";
      const char* separator = "";
      for (const auto& [key, value] : name.details) {
        fmt::format_to(out(), "{}{}:{}", separator, quoted(key), quoted(value));
        separator = ",";
      }
      text += '}';
    }
    text += "},\n";
  }
  for (const std::int32_t thread : threads) {
    fmt::format_to(
        out(), "{{\"ph\":\"M\",\"pid\":{},\"tid\":{},\"name\":\"thread_name\",\"args\":{{\"name\":{}}}}},\n",
        process, thread, quoted(track_name(thread)));
  }
  fmt::format_to(
      out(),
      "{{\"ph\":\"M\",\"pid\":{},\"name\":\"process_name\",\"args\":{{\"name\":\"croton\"}}}}\n],\n"
      "\"otherData\":{{\"slices left out\":\"{}\"}}}}\n",
      process, asked - count);
  return text;
}

void Trace::write() const noexcept {
  try {
    const std::string text = to_json();
    OutputFile file(path_);
    file.write(text.data(), text.size());
    file.commit();
  } catch (const std::exception& error) {
    send_message(Severity::warning, error.what());
  }
}

}  // namespace croton
