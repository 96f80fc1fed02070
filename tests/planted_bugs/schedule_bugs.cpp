// What depends on the schedule, on time, or on what was compiled before.

#include <cstdlib>
#include <filesystem>

#include "bugs.h"
#include "croton/codegen/kernel_builder.h"
#include "croton/codegen/kernel_cache.h"
#include "croton/codegen/kernel_files.h"
#include "croton/croton.h"
#include "planted_op.h"

namespace planted {

using namespace croton;

namespace {

Tensor ramp(std::int64_t n) { return Tensor::arange(static_cast<double>(n), DType::float32); }

NodeCode one_kernel(Kernel kernel) {
  NodeCode code;
  code.kernels.push_back({std::move(kernel), {{StepBuffer::Kind::input, 0}, {StepBuffer::Kind::output, 0}}});
  return code;
}

void run_op(const Parts& parts) {
  const Variable x = vector("x");
  function({x}, apply_op(planted_op(parts), {tanh(x)}), {.mode = "DebugMode", .name = "f"})(ramp(64));
}

/// Running sums with every range of indices at once: each needs the last one of the range before.
void race() {
  run_op({.name = "planted_running_sum",
          .infer = {},
          .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
            std::vector<float> values = floats(in[0]);
            for (std::size_t i = 1; i < values.size(); ++i) values[i] += values[i - 1];
            return {Tensor(values)};
          },
          .grad = {},
          .step = {},
          .lower = [](const Node&, std::span<const Layout> in, std::span<const Layout>,
                      int) -> std::optional<NodeCode> {
            const std::int64_t n = in[0].shape.count();
            KernelBuilder b("running_sum");
            const Buffer x = b.input("x", DType::float32, n), y = b.inout("y", DType::float32, n);
            b.once([&] { b.store(y, 0, b.load(x, 0)); });
            b.parallel(
                "i", n - 1,
                [&](Index i) { b.store(y, i + 1, b.emit(ScalarOp::add, b.load(y, i), b.load(x, i + 1))); },
                serial, 1);
            return one_kernel(b.build());
          },
          .inplace_candidates = {}});
}

/// A sum to which every thread adds without asking the others.
void lost_update() {
  run_op({.name = "planted_shared_sum",
          .infer = [](std::span<const Variable> in) -> std::vector<TensorType> {
            return {{in[0].dtype(), {1}}};
          },
          .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
            double sum = 0;
            for (const float value : floats(in[0])) sum += value;
            return {Tensor(std::vector<float>{static_cast<float>(sum)})};
          },
          .grad = {},
          .step = {},
          .lower = [](const Node&, std::span<const Layout> in, std::span<const Layout>,
                      int) -> std::optional<NodeCode> {
            const std::int64_t n = in[0].shape.count();
            KernelBuilder b("shared_sum");
            const Buffer x = b.input("x", DType::float32, n), y = b.inout("y", DType::float32, 1);
            b.once([&] { b.store(y, 0, b.constant(0, DType::float32)); });
            b.parallel(
                "i", n, [&](Index i) { b.store(y, 0, b.emit(ScalarOp::add, b.load(y, 0), b.load(x, i))); },
                serial, 1);
            return one_kernel(b.build());
          },
          .inplace_candidates = {}});
}

/// A sum in the order in which threads happen to arrive.
void changing_sum() {
  const Op& op = planted_op(
      {.name = "planted_changing_sum",
       .infer = [](std::span<const Variable> in) -> std::vector<TensorType> { return {{in[0].dtype(), {}}}; },
       .evaluate = [](std::span<const Tensor> in) -> std::vector<Tensor> {
         double sum = 0;
         for (const float value : floats(in[0])) sum += value;
         return {Tensor(static_cast<float>(sum))};
       },
       .grad = {},
       .step =
           [](const Memory& memory) {
             static std::int64_t arrivals = 0;
             const std::int64_t n = memory.inputs[0].shape.count();
             ++arrivals;
             float sum = 0;
             for (std::int64_t i = 0; i < n; ++i) sum += memory.input(0)[arrivals % 2 == 0 ? i : n - 1 - i];
             memory.output()[0] = sum;
           },
       .lower = {},
       .inplace_candidates = {}});
  const Variable x = vector("x");
  function({x}, apply_op(op, {x * 1e9}), {.mode = "DebugMode", .name = "f"})(Tensor{1.f, -1.f, 4e-8f});
}

std::string only_entry(const std::string& folder) {
  for (const auto& entry : std::filesystem::directory_iterator(folder))
    return entry.path().filename().string();
  return {};
}

KernelKey key_of(const std::string& name) {
  KernelKey key;
  key.words[0] = std::strtoull(name.substr(0, 16).c_str(), nullptr, 16);
  key.words[1] = std::strtoull(name.substr(16, 16).c_str(), nullptr, 16);
  return key;
}

/// Code of sin under the key of cos in the cache on disk.
void stale_cache() {
  const Variable x = vector("x");
  const auto use = [&](const Variable& y, const char* mode) {
    function({x}, y, {.mode = mode, .name = "f"})(ramp(23));
  };
  const std::string before = kernel_cache_folder();
  char name[] = "/tmp/croton_stale_XXXXXX";
  const std::string root = mkdtemp(name);
  const auto compiled = [&](const Variable& y, const std::string& folder) {
    set_kernel_cache_folder(folder);
    use(y, "FAST_RUN");
    return only_entry(folder);
  };
  const std::string wrong = compiled(sin(x), root + "/sin"), right = compiled(cos(x), root + "/cos");
  set_kernel_cache_folder(root + "/sin");
  std::string object = read_cached_object(key_of(wrong)).value();
  for (std::size_t at = object.find(wrong.substr(0, 32)); at != std::string::npos;
       at = object.find(wrong.substr(0, 32))) {
    object.replace(at, 32, right, 0, 32);
  }
  set_kernel_cache_folder(root + "/cos");
  write_cached_object(key_of(right), object);
  try {
    use(cos(x), "DebugMode");
  } catch (...) {
    set_kernel_cache_folder(before);
    std::filesystem::remove_all(root);
    throw;
  }
  set_kernel_cache_folder(before);
  std::filesystem::remove_all(root);
}

}  // namespace

std::vector<Bug> schedule_bugs() {
  return {{"race", "BadThunkOutput", "planted_running_sum", race},
          {"lost update", "BadThunkOutput", "planted_shared_sum", lost_update},
          {"non-deterministic reduction", "BadThunkOutput", "planted_changing_sum", changing_sum},
          {"stale cache entry", "BadThunkOutput", "cos", stale_cache}};
}

}  // namespace planted
