#include "croton/graph/npy.h"

#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "croton/graph/error.h"
#include "croton/graph/npy_header.h"
#include "tensor_values.h"

using namespace croton;
using Catch::Matchers::Message;
using croton::test::real_dtypes;

namespace {

/// A folder that is gone when the test ends.
class FolderOfArrays {
 public:
  FolderOfArrays() {
    path_ = std::filesystem::temp_directory_path() / ("croton_npy_test_" + std::to_string(getpid()));
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~FolderOfArrays() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }
  std::size_t entries() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(path_), {}));
  }

 private:
  std::filesystem::path path_;
};

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

/// A file of version 1 with that dictionary.
std::string npy(const std::string& dictionary, const std::string& data = "") {
  std::string text("\x93NUMPY\1\0", 8);
  text += static_cast<char>(dictionary.size() & 0xff);
  text += static_cast<char>(dictionary.size() >> 8);
  return text + dictionary + data;
}

Tensor parse(const std::string& text) { return parse_npy(bytes_of(text), "F"); }

/// Sixteen-bit integers 1, 2, 3, … of either byte order.
std::string numbers(int count, bool big_endian) {
  std::string text;
  for (int i = 1; i <= count; ++i) {
    const char low = static_cast<char>(i), high = 0;
    text += big_endian ? high : low;
    text += big_endian ? low : high;
  }
  return text;
}

}  // namespace

TEST_CASE("tensors of every dtype come back from .npy and .npz", "[graph][npy]") {
  const FolderOfArrays folder;
  NamedTensors all;
  for (DType dtype : real_dtypes) {
    for (const Shape& shape :
         {Shape{}, Shape{0}, Shape{7}, Shape{3, 5}, Shape{2, 0, 4}, Shape{1, 2, 1, 2, 1, 2, 1, 2}}) {
      INFO(name_of(dtype) << to_string(shape));
      const Tensor tensor = Tensor::arange(static_cast<double>(shape.count()), dtype).reshape(shape);
      tensor.save(folder / "t.npy");
      const Tensor back = Tensor::load(folder / "t.npy");
      CHECK(equal(tensor, back));
      CHECK(equal(tensor.transpose(), parse_npy(bytes_of(contents(folder / "t.npy")), "t").transpose()));
      all.add(std::string(name_of(dtype)) + to_string(shape), tensor.transpose());
    }
  }
  for (const bool compressed : {false, true}) {
    save_npz(folder / "t.npz", all, compressed);
    const std::string text = contents(folder / "t.npz");
    for (const NamedTensors& back : {load_npz(folder / "t.npz"), parse_npz(bytes_of(text), "t")}) {
      REQUIRE(back.size() == all.size());
      for (auto [a, b] = std::pair(all.begin(), back.begin()); a != all.end(); ++a, ++b) {
        CHECK(a->first == b->first);
        CHECK(equal(a->second, b->second));
        CHECK(b->second.is_contiguous());
      }
    }
    save_npz(folder / "again.npz", all, compressed);
    CHECK(contents(folder / "again.npz") == text);
  }
  CHECK(folder.entries() == 3);
}

TEST_CASE("a saved file is byte for byte NumPy's", "[graph][npy]") {
  const FolderOfArrays folder;
  Tensor{{1.f, 2.f, 3.f}}.save(folder / "t.npy");
  const std::string text = contents(folder / "t.npy");
  CHECK(text.size() == 128 + 12);
  CHECK(text.substr(0, 10) == std::string("\x93NUMPY\1\0\x76\0", 10));
  CHECK(text.substr(10, 60) == "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), } ");
  CHECK(text[127] == '\n');
  CHECK(npy_header_text(DType::bool_, {}).substr(10, 58) ==
        "{'descr': '|b1', 'fortran_order': False, 'shape': (), }   ");
  CHECK(npy_header_text(DType::bfloat16, {4}).substr(10, 60) ==
        "{'descr': '<V2', 'fortran_order': False, 'shape': (4,), }   ");
  struct stat status{};
  REQUIRE(stat((folder / "t.npy").c_str(), &status) == 0);
  const mode_t mask = umask(0);
  umask(mask);
  CHECK((status.st_mode & 0777) == (0666 & ~mask));
}

TEST_CASE("headers in every form are read", "[graph][npy]") {
  const std::string shape = ", 'fortran_order': False, 'shape': (2, 3)}";
  const Tensor expected = Tensor{{1, 2, 3}, {4, 5, 6}}.astype(DType::int16);
  CHECK(equal(parse(npy("{'descr': '<i2'" + shape, numbers(6, false))), expected));
  CHECK(equal(parse(npy("{'descr': '=i2'" + shape, numbers(6, false))), expected));
  CHECK(equal(parse(npy("{'descr': '>i2'" + shape, numbers(6, true))), expected));
  CHECK(equal(
      parse(npy("{\"shape\":(2L,3L,),\"descr\":\"<i2\",\"fortran_order\":False,}\n", numbers(6, false))),
      expected));
  CHECK(equal(parse(npy("{'descr': '>i2', 'fortran_order': True, 'shape': (3, 2)}", numbers(6, true))),
              expected.transpose()));
  CHECK(parse(npy("{'descr': '|b1', 'fortran_order': False, 'shape': (3,)}", std::string("\0\1\7", 3)))
            .to_vector<bool>() == std::vector<bool>{false, true, true});
  CHECK(parse(npy("{'descr': '|V2', 'fortran_order': False, 'shape': ()}", "\x80\x3f")).item<float>() == 1.f);
  std::string version2 = npy("{'descr': '<i2'" + shape);
  version2[6] = 2;
  version2.insert(10, 2, '\0');
  CHECK(equal(parse(version2 + numbers(6, false)), expected));
  version2[6] = 3;
  CHECK(equal(parse(version2 + numbers(6, false)), expected));
}

TEST_CASE("what is no array of numbers is refused", "[graph][npy]") {
  const std::string rest = ", 'fortran_order': False, 'shape': (2, 3), }";
  CHECK_THROWS_MATCHES(
      parse(""), FileError,
      Message("F: not a .npy file: expected it to begin with \"\\x93NUMPY\", got \"\" (it is empty)"));
  CHECK_THROWS_MATCHES(
      parse("hello, world"), FileError,
      Message("F: not a .npy file: expected it to begin with \"\\x93NUMPY\", got \"hello,\""));
  CHECK_THROWS_MATCHES(parse("PK\3\4"), FileError,
                       Message("F: this is an archive (.npz), not a .npy file: read it with load_npz"));
  CHECK_THROWS_MATCHES(parse(npy("{'descr': '<c8'" + rest)), FileError,
                       Message("F: its elements are complex numbers (descr '<c8'); Croton reads bool, int8 "
                               "to int64, uint8 to uint64, "
                               "float16, float32, float64 and V2 (bfloat16)"));
  for (const char* descr :
       {"'|O'", "'<U3'", "'|S5'", "'<M8[s]'", "'<f16'", "'|V7'", "[('a', '<f4')]", "'<f3'", "''", "'<'"}) {
    INFO(descr);
    CHECK_THROWS_AS(parse(npy(std::string("{'descr': ") + descr + rest, numbers(6, false))), FileError);
  }
  std::string version = npy("{'descr': '<f4'" + rest);
  version[6] = 4;
  CHECK_THROWS_MATCHES(parse(version), FileError,
                       Message("F: the .npy version is 4.0; Croton reads 1, 2 and 3"));
}

TEST_CASE("truncated and corrupt .npy files are refused before memory is taken", "[graph][npy]") {
  const std::string whole =
      npy("{'descr': '<i2', 'fortran_order': False, 'shape': (2, 3), }", numbers(6, false));
  for (std::size_t length = 0; length < whole.size(); ++length)
    CHECK_THROWS_AS(parse(whole.substr(0, length)), FileError);
  CHECK_THROWS_MATCHES(
      parse(whole.substr(0, whole.size() - 1)), FileError,
      Message("F: the .npy file is truncated: int16 elements of shape (2, 3) take 12 bytes, 11 follow "
              "the header"));
  CHECK_THROWS_MATCHES(
      parse(whole + "x"), FileError,
      Message("F: the .npy file is corrupt: int16 elements of shape (2, 3) take 12 bytes, 13 follow "
              "the header"));
  auto with_shape = [](const std::string& shape) {
    return npy("{'descr': '<f8', 'fortran_order': False, 'shape': " + shape + ", }");
  };
  CHECK(parse(with_shape("(0, 9)")).size() == 0);
  CHECK_THROWS_MATCHES(
      parse(with_shape("(4294967296, 4294967296)")), FileError,
      Message("F: the .npy file is truncated: float64 elements of shape (4294967296, 4294967296) take "
              "more than 2^62 bytes, 0 follow the header"));
  for (const char* shape :
       {"(0, 4294967296, 4294967296)", "(99999999999999999999,)", "(1000000000000,)", "(3)", "(-1,)", "(,)",
        "(2, 3", "[2]", "(1, 1, 1, 1, 1, 1, 1, 1, 1)", "(2 3)", "2"}) {
    INFO(shape);
    CHECK_THROWS_AS(parse(with_shape(shape)), FileError);
  }
  CHECK_THROWS_MATCHES(parse(npy("{'descr': '<i2', 'fortran_order': 0, 'shape': ()}")), FileError,
                       Message("F: the .npy header is corrupt: expected True or False at its character 35; "
                               "it reads {'descr': '<i2', "
                               "'fortran_order': 0, 'shape': ()}"));
  for (const char* dictionary :
       {"", "{", "{}", "{'descr': '<i2', 'shape': ()}",
        "{'descr': '<i2', 'descr': '<i2', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': (), 'more': 1}",
        "{'descr': '<i2', 'fortran_order': False, 'shape': ()} x", "{'descr: '<i2'}", "{'descr' '<i2'}"}) {
    INFO(dictionary);
    CHECK_THROWS_AS(parse(npy(dictionary, "ab")), FileError);
  }
}

TEST_CASE("links and devices stay what they are when they are written", "[graph][npy]") {
  namespace fs = std::filesystem;
  const FolderOfArrays folder;
  Tensor(1.f).save(folder / "old.npy");
  fs::create_symlink("old.npy", folder / "link.npy");
  Tensor(2.f).save(folder / "link.npy");
  CHECK(fs::is_symlink(folder / "link.npy"));
  CHECK(Tensor::load(folder / "old.npy").item<float>() == 2);
  fs::create_symlink("/dev/null", folder / "nothing");
  Tensor(2.f).save(folder / "nothing");
  CHECK(fs::is_symlink(folder / "nothing"));
  CHECK(fs::is_character_file("/dev/null"));
  CHECK(folder.entries() == 3);
}

TEST_CASE("files that cannot be read or written", "[graph][npy]") {
  const FolderOfArrays folder;
  const std::string missing = folder / "missing", folder_name = folder / "";
  CHECK_THROWS_MATCHES(Tensor::load(missing), FileError,
                       Message("cannot read " + missing + ": No such file or directory"));
  CHECK_THROWS_MATCHES(load_npz(missing), FileError,
                       Message("cannot read " + missing + ": No such file or directory"));
  CHECK_THROWS_MATCHES(Tensor::load(folder_name), FileError,
                       Message("cannot read " + folder_name + ": it is a directory"));
  CHECK_THROWS_MATCHES(Tensor::load("/dev/null"), FileError,
                       Message("cannot read /dev/null: it is not a regular file"));
  const std::string nowhere = folder / "no/t.npy";
  CHECK_THROWS_MATCHES(Tensor(1.f).save(nowhere), FileError,
                       Message("cannot write " + nowhere + ": No such file or directory"));
  CHECK_THROWS_AS(save_npz(folder / "no/t.npz", {{"a", 1.f}}), FileError);
  std::filesystem::create_directory(folder / "taken");
  CHECK_THROWS_MATCHES(Tensor(1.f).save(folder / "taken"), FileError,
                       Message("cannot write " + (folder / "taken") + ": Is a directory"));
  CHECK(folder.entries() == 1);
  CHECK_THROWS_AS(Tensor().save(folder / "t.npy"), ValueError);
  CHECK_THROWS_AS(save_npz(folder / "t.npz", {}), ValueError);
  CHECK_THROWS_AS(save_npz(folder / "t.npz", {{"", 1.f}}), ValueError);
  CHECK_THROWS_AS(save_npz(folder / "t.npz", {{"a", Tensor()}}), ValueError);
  CHECK_THROWS_MATCHES(save_npz(folder / "t.npz", {{"a", 1.f}, {"a", 2.f}}), ValueError,
                       Message("cannot save " + (folder / "t.npz") + ": two tensors are called \"a\""));
  CHECK(folder.entries() == 1);
}

TEST_CASE("damaged .npz files are refused", "[graph][npy]") {
  const FolderOfArrays folder;
  const NamedTensors tensors{{"weights", Tensor::arange(500, DType::float32)}, {"bias", Tensor{1.f, 2.f}}};
  for (const bool compressed : {false, true}) {
    save_npz(folder / "t.npz", tensors, compressed);
    const std::string whole = contents(folder / "t.npz");
    for (std::size_t length = 0; length < whole.size(); length += 7)
      CHECK_THROWS_AS(parse_npz(bytes_of(whole.substr(0, length)), "F"), FileError);
    // One changed bit may hide in a field that nobody reads (a date), but never in an element.
    for (std::size_t at = 0; at < whole.size(); at += 3) {
      std::string damaged = whole;
      damaged[at] ^= 4;
      try {
        const NamedTensors read = parse_npz(bytes_of(damaged), "F");
        REQUIRE(read.size() == 2);
        CHECK(equal(read.begin()->second, tensors.begin()->second));
        CHECK(equal(std::next(read.begin())->second, tensors.at("bias")));
      } catch (const FileError& error) {
        CHECK(std::string(error.what()).rfind("F", 0) == 0);
      }
    }
  }
  CHECK_THROWS_MATCHES(parse_npz(bytes_of("hello"), "F"), FileError,
                       Message("F: not a readable .npz file: Not a zip archive"));
  CHECK_THROWS_MATCHES(tensors.at("weihgts"), ValueError,
                       Message("there is no tensor called \"weihgts\"; did you mean weights?"));
}
