#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "croton/codegen/compiled_kernel.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/kernel_cache.h"
#include "croton/codegen/kernel_files.h"

using namespace croton;
namespace fs = std::filesystem;

namespace {

/// A cache folder of its own for a test; afterwards the one before is back.
class TemporaryCache {
 public:
  TemporaryCache() : before_(kernel_cache_folder()) {
    char name[] = "/tmp/croton_cache_XXXXXX";
    root_ = ::mkdtemp(name);
    set_kernel_cache_folder(folder());
    set_kernel_cache_warning([this](const std::string& text) { warnings.push_back(text); });
  }
  ~TemporaryCache() {
    set_kernel_cache_warning({});
    set_kernel_cache_folder(before_);
    fs::permissions(root_, fs::perms::owner_all);
    fs::remove_all(root_);
  }
  std::string root() const { return root_; }
  std::string folder() const { return root_ + "/cache/croton"; }
  std::vector<fs::path> files() const {
    std::vector<fs::path> result;
    if (!fs::exists(folder())) return result;
    for (const auto& entry : fs::directory_iterator(folder())) result.push_back(entry.path());
    return result;
  }

  std::vector<std::string> warnings;

 private:
  std::string before_, root_;
};

/// y = x + number: another kernel for every number.
Kernel add_number(int number) {
  KernelBuilder b("add");
  const Buffer x = b.input("x", DType::float32, 33), y = b.output("y", DType::float32, 33);
  b.parallel(
      "i", 33,
      [&](Index i) {
        b.store(y, i, b.emit(ScalarOp::add, b.load(x, i), b.constant(number, DType::float32)));
      },
      vectorize);
  return b.build();
}

bool works(const CompiledKernel& kernel, int number) {
  std::vector<float> x(33, 2.0f), y(33);
  void* buffers[] = {x.data(), y.data()};
  kernel.run(ThreadPool::instance(), buffers);
  return y == std::vector<float>(33, 2.0f + static_cast<float>(number));
}

std::string read(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << text;
}

}  // namespace

TEST_CASE("equal kernels are compiled once", "[codegen][cache]") {
  const TemporaryCache cache;
  const Kernel kernels[] = {add_number(1), add_number(2), add_number(1)};
  const auto compiled = compile(kernels);
  REQUIRE(compiled.size() == 3);
  CHECK(compiled[0] == compiled[2]);
  CHECK(compiled[0] != compiled[1]);
  CHECK(works(*compiled[0], 1));
  CHECK(works(*compiled[1], 2));
  CHECK(compile(add_number(1)) == compiled[0]);
  CHECK(cache.files().size() == 2);
  CHECK(cache.warnings.empty());
}

TEST_CASE("kernels come back from disk", "[codegen][cache]") {
  const TemporaryCache cache;
  compile(add_number(3));
  REQUIRE(cache.files().size() == 1);
  struct stat info{};
  REQUIRE(::stat(cache.folder().c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0700);
  const std::string before = read(cache.files()[0]);
  CHECK(works(*compile(add_number(3)), 3));  // the first one is gone, so this one was read
  CHECK(read(cache.files()[0]) == before);
  CHECK(kernel_cache_info().entries == 1);
  CHECK(kernel_cache_info().bytes == static_cast<std::int64_t>(before.size()));
  CHECK(kernel_cache_info().is_usable);
  CompileOptions without;
  without.use_cache = false;
  compile(add_number(4), without);
  CHECK(cache.files().size() == 1);
  write(cache.folder() + "/somebody_elses", "text");
  CHECK(clear_kernel_cache() == 1);
  CHECK(cache.files().size() == 1);
}

TEST_CASE("a damaged entry is rebuilt", "[codegen][cache]") {
  const TemporaryCache cache;
  compile(add_number(5));
  const fs::path file = cache.files().at(0);
  const std::string good = read(file);
  for (const std::size_t cut : {std::size_t{0}, std::size_t{10}, good.size() / 2, good.size() - 1}) {
    write(file, good.substr(0, cut));
    CHECK(works(*compile(add_number(5)), 5));
    CHECK(read(file) == good);
  }
  for (std::size_t at = 0; at < good.size(); at += 1 + good.size() / 40) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    write(file, bad);
    CHECK(works(*compile(add_number(5)), 5));
    CHECK(read(file) == good);
  }
  write(file, good + "more");
  CHECK(works(*compile(add_number(5)), 5));
  CHECK(read(file) == good);
}

TEST_CASE("an entry with a checksum but no kernel is rebuilt", "[codegen][cache]") {
  const TemporaryCache cache;
  compile(add_number(6));
  const std::string name = cache.files().at(0).stem();
  const KernelKey key{
      {std::stoull(name.substr(0, 16), nullptr, 16), std::stoull(name.substr(16), nullptr, 16)}};
  for (const char* object : {"", "no object", "\x7f\x45\x4c\x46 a header only"}) {
    write_cached_object(key, object);
    REQUIRE(read_cached_object(key) == std::string(object));
    CHECK(works(*compile(add_number(6)), 6));
  }
}

TEST_CASE("a folder that others may write to is refused", "[codegen][cache]") {
  TemporaryCache cache;
  fs::create_directories(cache.folder());
  for (const ::mode_t mode : {0770, 0707, 0777}) {
    cache.warnings.clear();
    REQUIRE(::chmod(cache.folder().c_str(), mode) == 0);
    set_kernel_cache_folder(cache.folder());
    CHECK(works(*compile(add_number(7)), 7));
    CHECK(works(*compile(add_number(8)), 8));
    CHECK(cache.files().empty());
    REQUIRE(cache.warnings.size() == 1);
    CHECK(cache.warnings[0].find("others may write") != std::string::npos);
    CHECK_FALSE(kernel_cache_info().is_usable);
    CHECK(kernel_cache_info().reason == cache.warnings[0]);
  }
}

TEST_CASE("without a folder kernels are compiled all the same", "[codegen][cache]") {
  TemporaryCache cache;
  set_kernel_cache_folder("");
  CHECK(works(*compile(add_number(9)), 9));
  CHECK(cache.warnings.empty());
  write(cache.root() + "/file", "text");
  set_kernel_cache_folder(cache.root() + "/file/cache");
  CHECK(works(*compile(add_number(10)), 10));
  CHECK(cache.warnings.size() == 1);
  set_kernel_cache_folder(cache.root() + "/file");
  CHECK(works(*compile(add_number(11)), 11));
  REQUIRE(cache.warnings.size() == 2);
  CHECK(cache.warnings[1].find("not a folder") != std::string::npos);
  fs::create_symlink("/tmp", cache.root() + "/link");
  set_kernel_cache_folder(cache.root() + "/link");
  CHECK(works(*compile(add_number(12)), 12));
  CHECK(cache.warnings.size() == 3);
}

TEST_CASE("kernels are compiled by several threads at once", "[codegen][cache]") {
  const TemporaryCache cache;
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 6; ++i) good += works(*compile(add_number(20 + (i + t) % 6)), 20 + (i + t) % 6);
    });
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(good == 24);
  CHECK(cache.files().size() == 6);  // no temporary file is left
}
