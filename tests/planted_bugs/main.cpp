// Plants one bug after the other and sees whether it is found and named.
//   planted_bugs [--runs N] [NAME…]

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>

#include "bugs.h"
#include "croton/croton.h"

using namespace croton;

namespace {

/// The type of the error and its text.
std::pair<std::string, std::string> outcome(const planted::Bug& bug) {
#define CATCH(Type)           \
  catch (const Type& e) {     \
    return {#Type, e.what()}; \
  }
  try {
    bug.run();
  }
  CATCH(BadOptimization)
  CATCH(BadThunkOutput)
  CATCH(BadDestroyMap)
  CATCH(BadViewMap)
  CATCH(InvalidValueError)
  CATCH(BadGradient)
  CATCH(StochasticOrder)
  CATCH(NanGuardError)
  catch (const std::exception& e) {
    return {"another error", e.what()};
  }
#undef CATCH
  return {"nothing", ""};
}

/// Found and named: the culprit stands in what the error says of the place.
bool is_named(const planted::Bug& bug, const std::string& text) {
  return text.substr(0, text.find("\n  the graph of the node")).find(bug.culprit) != std::string::npos;
}

}  // namespace

int main(int argc, char** argv) {
  int runs = 1;
  bool verbose = false;
  std::set<std::string> wanted;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
      runs = std::atoi(argv[++i]);
    } else if (std::strcmp(argv[i], "-v") == 0) {
      verbose = true;
    } else {
      wanted.insert(argv[i]);
    }
  }
  std::vector<planted::Bug> bugs;
  for (const auto& list :
       {planted::rewrite_bugs(), planted::step_bugs(), planted::schedule_bugs(), planted::value_bugs()}) {
    bugs.insert(bugs.end(), list.begin(), list.end());
  }
  for (const std::string& name : wanted) {
    if (std::ranges::find(bugs, name, &planted::Bug::name) != bugs.end()) continue;
    std::fprintf(stderr,
                 "planted_bugs: there is no bug \"%s\"; without a name all are planted (--runs N, -v)\n",
                 name.c_str());
    return 2;
  }
  if (runs < 1) {
    std::fprintf(stderr, "planted_bugs: --runs takes a number from 1 on\n");
    return 2;
  }
  config().set("DebugMode.report_dir", "none");
  int missed = 0, planted = 0;
  for (const planted::Bug& bug : bugs) {
    if (!wanted.empty() && !wanted.contains(bug.name)) continue;
    ++planted;
    int found = 0;
    std::string text;
    for (int run = 0; run < runs; ++run) {
      const auto [type, what] = outcome(bug);
      if (type == bug.error && is_named(bug, what)) {
        ++found;
      } else {
        text = type + ": " + what;
      }
      if (verbose) text = type + ": " + what;
    }
    std::printf("%-28s %-18s %d of %d\n", bug.name.c_str(), bug.error.c_str(), found, runs);
    if (found < runs || verbose) std::printf("    %s\n", text.c_str());
    missed += found < runs ? 1 : 0;
  }
  std::printf("%d bugs, %d missed\n", planted, missed);
  return missed == 0 ? 0 : 1;
}
