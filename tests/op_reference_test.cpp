#include "croton/ops/op_reference.h"

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>

#include "croton/graph/op.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/reduce.h"
#include "places.h"

using namespace croton;

namespace {

/// The operations of the library: other tests register some of their own.
std::set<std::string> library_ops() {
  std::set<std::string> names;
  for (const ElementwiseOp* op : elementwise_ops()) names.insert(op->name());
  for (const ReduceOp* op : reduce_ops()) names.insert(op->name());
  const std::regex declaration("Op\\(\"(\\w+)\"");
  for (const auto& entry : std::filesystem::directory_iterator(test::source_file("ops"))) {
    if (entry.path().extension() != ".cpp") continue;
    std::ifstream file(entry.path());
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    for (std::sregex_iterator match(text.begin(), text.end(), declaration), end; match != end; ++match) {
      names.insert((*match)[1]);
    }
  }
  return names;
}

}  // namespace

TEST_CASE("The reference page has a sentence for every operation", "[ops][docs]") {
  const std::string page = ops_markdown();
  for (const std::string& name : library_ops()) {
    if (find_op(name) == nullptr) continue;
    INFO("write a sentence for " << name << " in ops/op_reference.cpp");
    const std::size_t at = page.find("| `" + name + "(");
    REQUIRE(at != std::string::npos);
    const std::string line = page.substr(at, page.find('\n', at) - at);
    INFO(line);
    CHECK((line.substr(line.size() - 3) == ". |"));
  }
  CHECK(library_ops().size() > 90);
  CHECK(page.find("| `add(a, b, …)` | any → same | yes | Sum; between bools `or`. |") != std::string::npos);
}
