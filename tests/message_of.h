#pragma once

#include <regex>
#include <string>

namespace croton::test {

/// What f throws, an E, says, without the line numbers of tests; "no error" where it throws nothing.
template <class E, class F>
std::string message_of(F&& f) {
  try {
    f();
  } catch (const E& e) {
    return std::regex_replace(e.what(), std::regex("_test\\.cpp:\\d+"), "_test.cpp");
  }
  return "no error";
}

}  // namespace croton::test
