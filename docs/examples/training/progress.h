#pragma once

#include <chrono>
#include <cstdint>
#include <string>

/// The state of long work: on a terminal a bar with rate and time left that is drawn over itself, elsewhere
/// nothing (the lines of note() say it all).
class Progress {
 public:
  /// `total` steps of which `done` were made before.
  Progress(std::int64_t total, std::int64_t done, std::string unit);
  ~Progress();
  void step();
  /// A line that stays, above the bar.
  void note(const std::string& line);

 private:
  void draw();
  void erase();
  std::int64_t total_, done_, first_;
  std::string unit_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point start_, last_drawn_;
};
