#pragma once

#include <cstddef>
#include <functional>

/// Seconds that a call takes: the median over batches of calls that are long enough for the clock, for about
/// `seconds` in all. A batch ends when `finish` returns.
double seconds_per_call(const std::function<void()>& call, const std::function<void()>& finish,
                        double seconds);

/// What this process has in memory now, in bytes.
double resident_bytes();
/// The most that it ever had.
double most_resident_bytes();
