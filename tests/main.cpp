#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include "croton/graph/flags.h"

int main(int argc, char** argv) {
  // A rewrite that fails fails the test.
  croton::config().set("on_opt_error", "raise");
  return Catch::Session().run(argc, argv);
}
