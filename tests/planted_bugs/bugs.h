#pragma once

#include <functional>
#include <string>
#include <vector>

namespace planted {

/// Something wrong, how to meet it, and what must be said of it.
struct Bug {
  std::string name;
  /// The type of the error: "BadOptimization", …
  std::string error;
  /// What the first line of the error names.
  std::string culprit;
  std::function<void()> run;
};

std::vector<Bug> rewrite_bugs();
std::vector<Bug> step_bugs();
std::vector<Bug> schedule_bugs();
std::vector<Bug> value_bugs();

}  // namespace planted
