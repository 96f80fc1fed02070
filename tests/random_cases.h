#pragma once

#include <algorithm>

#include "croton/graph/flags.h"

namespace croton::test {

/// How many of `count` random cases to run: all of them, a fixed tenth under a sanitizer.
inline int random_cases(int count) {
#if defined(CROTON_SANITIZED)
  return std::max(1, count / 10);
#else
  return count;
#endif
}

/// The same for cases that a GPU's compiler takes half a second each for: few of them there.
inline int compiled_cases(int count) {
  return config().device() == "cpu" ? random_cases(count) : std::max(1, random_cases(count) / 20);
}

}  // namespace croton::test
