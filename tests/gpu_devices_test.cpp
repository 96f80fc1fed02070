// Several real GPUs in one process, where there are several.
#include <catch2/catch.hpp>

#include "croton/graph/error.h"
#include "croton/graph/flags.h"
#include "croton/runtime/cuda_device.h"
#include "croton/runtime/cuda_kernels.h"
#include "device_cases.h"

using namespace croton;

namespace {

bool has_two_gpus() {
  const bool has =
      cuda_driver_problem().empty() && cuda_compiler_problem().empty() && cuda_device_count() > 1;
  if (!has) WARN("not tested: this needs two GPUs");
  return has;
}

}  // namespace

TEST_CASE("two GPUs: variables lie where their targets say", "[gpu][runtime][cuda][devices]") {
  if (!has_two_gpus()) return;
  const ConfigScope flags({{"device", "cuda"}});
  test::check_targets();
  test::check_two_devices();
}

TEST_CASE("two GPUs: transfers", "[gpu][runtime][cuda][devices]") {
  if (!has_two_gpus()) return;
  const ConfigScope flags({{"device", "cpu"}});
  test::check_transfers_between_devices();
}

TEST_CASE("two GPUs: random graphs", "[gpu][runtime][cuda][devices][random]") {
  if (!has_two_gpus()) return;
  const ConfigScope flags({{"device", "cuda"}});
  test::check_random_graphs_on_two_devices();
}
