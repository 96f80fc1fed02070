#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <vector>

namespace croton {

/// What ran when and on which thread, in the JSON of the Trace Event Format, which Perfetto (ui.perfetto.dev)
/// and chrome://tracing show. Slices are kept in memory, a bounded number of them, and written when the
/// program ends. Any number of threads may add.
class Trace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  using Label = std::uint32_t;
  static constexpr std::size_t most_slices = std::size_t{1} << 20;

  /// The trace of the process; null unless start() was called.
  static Trace* active() { return active_.load(std::memory_order_acquire); }
  /// From now on everything is traced, into this file, which is written when the program ends. Functions made
  /// before are not. The first call holds.
  static void start(const std::string& path);

  explicit Trace(std::string path);

  /// Something that slices may be of. `details`: pairs of a name and a text, shown when a slice is selected.
  Label label(std::string name, std::vector<std::pair<std::string, std::string>> details = {});
  /// On the calling thread.
  void slice(Label label, Time start, Time end) noexcept;
  /// On the stream of a CUDA device, where it ran while the host went on.
  void device_slice(int ordinal, Label label, Time start, Time end) noexcept;
  /// On a worker of the thread pool; of the label that running() named last.
  void worker_slice(int worker, Time start, Time end) noexcept;
  void running(Label label) noexcept { running_.store(label, std::memory_order_relaxed); }
  /// Slices that began at `start` and took so many seconds each, one after the other, on the calling thread.
  void phases(Time start, const std::vector<std::pair<std::string, double>>& seconds);

  /// Writes the file; a message to the sink where that is impossible.
  void write() const noexcept;
  std::string to_json() const;

 private:
  struct Slice {
    Label label;
    std::int32_t thread;
    std::int64_t start, nanoseconds;
  };
  struct Name {
    std::string name;
    std::vector<std::pair<std::string, std::string>> details;
  };
  void add(Label label, std::int32_t thread, Time start, Time end) noexcept;

  static std::atomic<Trace*> active_;

  const std::string path_;
  const Time begin_;
  std::atomic<Label> running_{0};
  std::atomic<std::size_t> count_{0};  // of slices asked for
  std::vector<Slice> slices_;
  mutable std::mutex mutex_;  // of the names
  std::vector<Name> names_;
};

}  // namespace croton
