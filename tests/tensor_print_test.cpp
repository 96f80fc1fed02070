#include <catch2/catch.hpp>
#include <fstream>
#include <sstream>

#include "croton/graph/npy.h"
#include "croton/graph/tensor.h"
#include "places.h"

using namespace croton;

TEST_CASE("tensors print as NumPy printed them", "[graph][tensor]") {
  const std::string folder = test::source_file("tests/numpy/").string();
  const NamedTensors tensors = load_npz(folder + "print.npz");
  std::ifstream file(folder + "print.txt");
  std::string expected, line;
  auto next = tensors.begin();
  while (std::getline(file, line)) {
    if (line != "%%") {
      expected += expected.empty() ? line : '\n' + line;
      continue;
    }
    REQUIRE(next != tensors.end());
    INFO(next->first << ": " << name_of(next->second.dtype()) << to_string(next->second.shape()));
    CHECK(to_string(next->second) == expected);
    ++next;
    expected.clear();
  }
  CHECK(next == tensors.end());
  CHECK(tensors.size() > 300);
}

TEST_CASE("what NumPy does not have prints in its manner", "[graph][tensor]") {
  CHECK(to_string(Tensor()) == "undefined");
  CHECK(to_string(Tensor{0.1f, 2.f}.astype(DType::bfloat16)) == "[0.10009766 2.        ]");
  CHECK(to_string(Tensor(0.1f).astype(DType::bfloat16)) == "0.100097656");
  std::ostringstream stream;
  stream << Tensor{{1.f, 2.f}, {3.f, 4.f}}.transpose();
  CHECK(stream.str() == "[[1. 3.]\n [2. 4.]]");
}
