#include "croton/graph/flags_of_theano.h"

#include <algorithm>
#include <array>

namespace croton {

namespace {

struct Elsewhere {
  /// A whole name, or with a '*' at its end the beginning of several.
  std::string_view name;
  std::string_view instead;
};

constexpr std::string_view always_asks_for =
    "device=cuda is an error where there is no usable GPU; device=auto takes what there is";
constexpr std::string_view placed = "croton doctor shows which libraries are found, and how others get found";
constexpr std::string_view no_compiler = "there is no compiler to set up: code generation is built in";
constexpr std::string_view by_plan =
    "a function's memory is planned when it is compiled; profile=true shows the plan";
constexpr std::string_view schedules =
    "DebugMode always varies memory, strides and alignments; DebugMode.patience says how often";
constexpr std::string_view by_dtype =
    "dtypes follow one rule (see differences.md); floatX and cast() decide where it leaves a choice";

constexpr std::array<Elsewhere, 55> elsewhere = {{
    {"linker", "mode says how functions run: FAST_RUN, FAST_COMPILE, None"},
    {"allow_gc", by_plan},
    {"vm.lazy", "a plan computes what the outputs need"},
    {"openmp", "threads=1 keeps functions to one thread"},
    {"openmp_elemwise_minsize",
     "loops are divided between threads where their cost says that it pays; threads sets how many"},
    {"cast_policy", by_dtype},
    {"int_division", "/ of integers is floatX; floor_div is its own op"},
    {"init_gpu_device", always_asks_for},
    {"force_device", always_asks_for},
    {"contexts", "variables name their device: a shared variable's target, transfer(x, \"cuda1\")"},
    {"gpuarray.preallocate", "gpu.preallocate, in MiB"},
    {"gpuarray.cache_path", "cache_dir"},
    {"gpuarray.sync", "gpu.sync"},
    {"gpuelemwise.sync", "gpu.sync"},
    {"gpuarray.*", "the driver schedules; gpu.sync, gpu.preallocate and gpu.max_memory are there"},
    {"gpu.local_elemwise_fusion", "tensor.local_elemwise_fusion, for every device"},
    {"lib.cnmem", "gpu.preallocate, in MiB"},
    {"lib.amdlibm", no_compiler},
    {"nvcc.fastmath", "precision says how exact products are; functions of one number keep to 2 ulp"},
    {"nvcc.*", no_compiler},
    {"cuda.*", placed},
    {"dnn.base_path", placed},
    {"dnn.include_path", placed},
    {"dnn.library_path", placed},
    {"dnn.bin_path", placed},
    {"dnn.enabled", "optimizer_excluding=conv_dnn"},
    {"conv.assert_shape", "shapes that were declared are always checked"},
    {"metaopt.optimizer_including", "optimizer_including, beside conv_meta"},
    {"metaopt.optimizer_excluding", "optimizer_excluding, beside conv_meta"},
    {"optdb.position_cutoff", "optimizer_excluding takes the names of phases' rewrites; mode=None runs none"},
    {"cycle_detection", "it is exact, and costs time in proportion to the graph"},
    {"check_stack_trace", "every node keeps the line that made it, through every rewrite"},
    {"traceback.*", "every node keeps the line that made it"},
    {"tensor.insert_inplace_optimizer_validate_nb", "each in-place mark is checked when it is made"},
    {"experimental.*", "there are no experiments to switch on"},
    {"cache_optimizations", "compiled kernels are kept in cache_dir"},
    {"on_shape_error", "an error in shapes is always raised"},
    {"compute_test_value_opt", "mode=DebugMode compares what a rewrite replaced"},
    {"print_test_value", "compute_test_value computes them; mode=MonitorMode reports every node's values"},
    {"pickle_test_value", "graphs are saved in the text form, tensors as .npy and .npz"},
    {"unpickle_function", "graphs are saved in the text form, tensors as .npy and .npz"},
    {"reoptimize_unpickled_function", "graphs are saved in the text form, tensors as .npy and .npz"},
    {"print_global_stats", "profile=true"},
    {"profiling.time_thunks", "profile=true measures every node; steps too short for that are sampled"},
    {"profiling.min_peak_memory", "profile_memory shows the plan's peak"},
    {"DebugMode.check_c", "DebugMode compares every kernel with the reference"},
    {"DebugMode.check_py", "DebugMode compares every kernel with the reference"},
    {"DebugMode.*", schedules},
    {"check_input", "a call always checks dtypes and shapes"},
    {"blas.*", no_compiler},
    {"gcc.*", no_compiler},
    {"cxx", no_compiler},
    {"cmodule.*", no_compiler},
    {"base_compiledir", "cache_dir"},
    {"compiledir", "cache_dir"},
}};

}  // namespace

std::string_view in_place_of_theano_flag(std::string_view name) {
  const auto entry = std::ranges::find_if(elsewhere, [&](const Elsewhere& e) {
    return e.name.ends_with('*') ? name.starts_with(e.name.substr(0, e.name.size() - 1)) : name == e.name;
  });
  return entry == elsewhere.end() ? std::string_view() : entry->instead;
}

}  // namespace croton
