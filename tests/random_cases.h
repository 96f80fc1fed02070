#pragma once

#include <algorithm>

namespace croton::test {

/// How many of `count` random cases to run: all of them, a fixed tenth under a sanitizer.
inline int random_cases(int count) {
#if defined(CROTON_SANITIZED)
  return std::max(1, count / 10);
#else
  return count;
#endif
}

}  // namespace croton::test
