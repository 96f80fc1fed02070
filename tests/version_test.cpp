#include "croton/graph/version.h"

#include <catch2/catch.hpp>

TEST_CASE("the version details name every library inside", "[graph][version]") {
  const std::string details = croton::version_details();
  CHECK(details.rfind("croton " + std::string(croton::version()) + "\n", 0) == 0);
  for (const char* name : {"LLVM 1", "oneDNN ", "fmt ", "zlib 1.", "libzip 1.", "compiler "}) {
    CHECK(details.find("\n" + std::string(name)) != std::string::npos);
  }
}
