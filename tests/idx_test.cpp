#include "croton/runtime/idx.h"

#include <catch2/catch.hpp>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "croton/graph/error.h"
#include "places.h"

using namespace croton;

namespace {

std::vector<std::byte> seed(const std::string& name) {
  std::ifstream file(test::source_file("tests/fuzz/seeds/idx") / name, std::ios::binary);
  std::vector<std::byte> bytes;
  for (std::istreambuf_iterator<char> i(file), end; i != end; ++i)
    bytes.push_back(static_cast<std::byte>(*i));
  REQUIRE_FALSE(bytes.empty());
  return bytes;
}

}  // namespace

TEST_CASE("IDX files of several dtypes, plain and gzipped", "[runtime][idx]") {
  for (const char* name : {"uint8", "uint8_gz"}) {
    const Tensor t = parse_idx(seed(name), name);
    CHECK(t.dtype() == DType::uint8);
    CHECK(t.shape() == Shape{2, 2, 3});
    CHECK(t.at<std::uint8_t>({1, 0, 2}) == 8);
  }
  const Tensor t = parse_idx(seed("int16"), "int16");
  CHECK(t.to_vector<std::int16_t>() == std::vector<std::int16_t>{1, -2, 300});
}

TEST_CASE("the digits are what their README says", "[runtime][idx]") {
  const std::string folder = test::source_file("docs/examples/data/mnist/").string();
  const Tensor images = read_idx(folder + "t10k-images-idx3-ubyte.gz");
  const Tensor labels = read_idx(folder + "t10k-labels-idx1-ubyte.gz");
  CHECK(images.shape() == Shape{10000, 28, 28});
  CHECK(labels.shape() == Shape{10000});
  CHECK(labels.at<std::uint8_t>({0}) == 7);
}

TEST_CASE("what is no IDX file is refused by name and reason", "[runtime][idx][errors]") {
  CHECK_THROWS_WITH(parse_idx(seed("truncated_gz"), "a.gz"),
                    Catch::Contains("a.gz: truncated: its gzip data lacks its end"));
  CHECK_THROWS_WITH(parse_idx(seed("huge"), "b"), Catch::Contains("more than any file can hold"));
  CHECK_THROWS_WITH(parse_idx(seed("wide_and_empty"), "e"), Catch::Contains("more than any file can hold"));
  auto bytes = seed("uint8");
  bytes.push_back(std::byte{0});
  CHECK_THROWS_WITH(parse_idx(bytes, "c"), Catch::Contains("c: more than the 12 bytes"));
  bytes[2] = std::byte{7};
  CHECK_THROWS_WITH(parse_idx(bytes, "d"), Catch::Contains("d: not an IDX file: it starts with 00 00 07 03"));
  CHECK_THROWS_AS(parse_idx({}, "e"), FileError);
  auto damaged = seed("uint8_gz");
  damaged[14] ^= std::byte{0xff};
  CHECK_THROWS_AS(parse_idx(damaged, "f"), FileError);
  CHECK_THROWS_WITH(read_idx("/nowhere/at/all"), Catch::Contains("/nowhere/at/all"));
}
