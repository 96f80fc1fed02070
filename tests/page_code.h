#pragma once

#include <catch2/catch.hpp>
#include <cstddef>
#include <fstream>
#include <set>
#include <string>
#include <string_view>

#include "places.h"

namespace croton::test {

/// Fails the test case where a line of C++ of a page does not stand in a file of the source tree, or where
/// the page has no more than `least` of them.
inline void check_code_of_page(std::string_view page_name, std::string_view file_name, std::size_t least) {
  std::set<std::string> here;
  std::ifstream file(source_file(file_name));
  for (std::string line; std::getline(file, line);) here.insert(line);
  std::ifstream page(source_file(page_name));
  REQUIRE(page);
  bool is_code = false;
  std::size_t compared = 0;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("```")) {
      is_code = line == "```cpp";
      continue;
    }
    if (!is_code || line.empty()) continue;
    INFO(line);
    CHECK(here.contains(line));
    ++compared;
  }
  CHECK(compared > least);
}

}  // namespace croton::test
