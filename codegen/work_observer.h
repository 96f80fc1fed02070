#pragma once

#include <chrono>

namespace croton {

/// From now on called on a worker of the thread pool whenever it has taken part in a launch (for traces): its
/// number, when it began and ended.
using WorkObserver = void (*)(int worker, std::chrono::steady_clock::time_point start,
                              std::chrono::steady_clock::time_point end);
void observe_workers(WorkObserver observer);

}  // namespace croton
