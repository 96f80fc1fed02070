#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

using Clock = std::chrono::steady_clock;

Progress::Progress(std::int64_t total, std::int64_t done, std::string unit)
    : total_(total),
      done_(done),
      first_(done),
      unit_(std::move(unit)),
      terminal_(isatty(STDOUT_FILENO) == 1),
      start_(Clock::now()),
      last_drawn_() {}

Progress::~Progress() { erase(); }

void Progress::erase() {
  if (drawn_) fmt::print("\r\x1b[K");
  drawn_ = false;
  std::fflush(stdout);
}

void Progress::step() {
  ++done_;
  if (terminal_ && Clock::now() - last_drawn_ > std::chrono::milliseconds(100)) draw();
}

void Progress::note(const std::string& line) {
  erase();
  fmt::print("{}\n", line);
  if (terminal_) draw();
  std::fflush(stdout);
}

void Progress::draw() {
  last_drawn_ = Clock::now();
  const double seconds = std::chrono::duration<double>(last_drawn_ - start_).count();
  const double rate = static_cast<double>(done_ - first_) / std::max(seconds, 1e-9);
  constexpr int width = 30;
  const int filled = static_cast<int>(width * done_ / std::max<std::int64_t>(total_, 1));
  const auto left = rate > 0 ? static_cast<std::int64_t>(static_cast<double>(total_ - done_) / rate) : 0;
  fmt::print("\r\x1b[K[{:#<{}}{:.<{}}] {}/{} {}, {:.1f}/s, {}:{:02} left", "", filled, "", width - filled,
             done_, total_, unit_, rate, left / 60, left % 60);
  std::fflush(stdout);
  drawn_ = true;
}
