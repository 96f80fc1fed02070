#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/dtype.h"

namespace croton {

/// A flag that takes one of a few words: the enum and the words are one list.
#define CROTON_CHOICE(Name, ...)   \
  enum class Name { __VA_ARGS__ }; \
  inline constexpr std::string_view choice_words(Name) { return #__VA_ARGS__; }

CROTON_CHOICE(ModeName, FAST_RUN, FAST_COMPILE, None, DebugMode, NanGuardMode, MonitorMode)
CROTON_CHOICE(OptimizerName, fast_run, fast_compile)
CROTON_CHOICE(OnOptError, warn, raise, ignore)
CROTON_CHOICE(ComputeTestValue, off, ignore, warn, raise)
CROTON_CHOICE(NanGuardAction, raise, warn)
CROTON_CHOICE(Allocations, allow, warn, raise)
CROTON_CHOICE(WarnFloat64, ignore, warn, raise)
CROTON_CHOICE(OnUnusedInput, raise, warn, ignore)
CROTON_CHOICE(AssertNoCpuOp, ignore, warn, raise)
CROTON_CHOICE(Transfers, allow, warn, raise)
CROTON_CHOICE(Precision, ieee, tf32, bf16)
CROTON_CHOICE(Verbosity, low, high)
CROTON_CHOICE(LedgerReplay, on, strict, off)
CROTON_CHOICE(DnnAlgoFwd, small, none, large, fft, fft_tiling, winograd, winograd_non_fused, guess_once,
              guess_on_shape_change, time_once, time_on_shape_change)
CROTON_CHOICE(DnnAlgoBwdData, none, deterministic, fft, fft_tiling, winograd, winograd_non_fused, guess_once,
              guess_on_shape_change, time_once, time_on_shape_change)
CROTON_CHOICE(DnnAlgoBwdFilter, none, deterministic, fft, small, winograd_non_fused, fft_tiling, guess_once,
              guess_on_shape_change, time_once, time_on_shape_change)
CROTON_CHOICE(DnnPrecision, as_input_f32, as_input, float16, float32, float64)
#undef CROTON_CHOICE

/// Text of words with ':' between.
using FlagList = std::vector<std::string>;
/// A device, by name or by how to choose it: see Device::from_name.
struct DeviceName {
  std::string name;
};

/// Every flag, a row each: F(member, name, type, default, doc). The member reads it: `config().floatX()`.
/// Types: bool, int (not negative), double (not negative), DType (floating), the choices above, DeviceName,
/// FlagList, std::filesystem::path.
#define CROTON_FLAG_TABLE(F)                                                                                 \
  F(floatX, "floatX", DType, "float32",                                                                      \
    "The dtype of matrix(\"x\"), Tensor::zeros and what / makes of integers; 16, 32 and 64 are short "       \
    "forms.")                                                                                                \
  F(warn_float64, "warn_float64", WarnFloat64, "ignore",                                                     \
    "What function() does about a float64 value in its graph: usually one came in by accident.")             \
  F(device, "device", DeviceName, "cpu",                                                                     \
    "Where functions run: the CPU, a GPU (cuda is the first; most-free the one with the most free memory), " \
    "or auto: a GPU where there is one.")                                                                    \
  F(print_active_device, "print_active_device", bool, "false",                                               \
    "Report each GPU that functions are made for, once.")                                                    \
  F(gpu_max_memory, "gpu.max_memory", int, "0",                                                              \
    "The most memory that is taken of a GPU, in MiB; 0 sets no bound.")                                      \
  F(gpu_preallocate, "gpu.preallocate", int, "0",                                                            \
    "How much memory of a GPU is taken in one piece at its first use, in MiB.")                              \
  F(gpu_sync, "gpu.sync", bool, "false",                                                                     \
    "Wait for the GPU behind every step, so that an error names the step that failed.")                      \
  F(gpu_graphs, "gpu.graphs", bool, "true",                                                                  \
    "Record what a function does on a GPU in a CUDA graph and replay it.")                                   \
  F(gpu_nvtx, "gpu.nvtx", bool, "false",                                                                     \
    "Name what functions do on a GPU for NVIDIA's profilers (NVTX ranges: functions, steps); those that "    \
    "are "                                                                                                   \
    "profiled do so in any case.")                                                                           \
  F(transfers, "transfers", Transfers, "allow",                                                              \
    "What a call does when it must wait in its middle for a copy from the GPU, or move a shared variable "   \
    "to where it is needed.")                                                                                \
  F(assert_no_cpu_op, "assert_no_cpu_op", AssertNoCpuOp, "ignore",                                           \
    "What compiling a function for a GPU does about work that stays on the CPU.")                            \
  F(mode, "mode", ModeName, "FAST_RUN",                                                                      \
    "How functions are compiled when they name no mode: FAST_RUN runs every rewrite, FAST_COMPILE leaves "   \
    "out fusion and costly code generation, None rewrites nothing, DebugMode checks every rewrite and step " \
    "of every call, NanGuardMode stops at NaN, infinities and huge numbers, MonitorMode reports every "      \
    "node.")                                                                                                 \
  F(nan_is_error, "NanGuardMode.nan_is_error", bool, "true", "NanGuardMode looks for NaN.")                  \
  F(inf_is_error, "NanGuardMode.inf_is_error", bool, "true", "NanGuardMode looks for infinities.")           \
  F(big_is_error, "NanGuardMode.big_is_error", bool, "true", "NanGuardMode looks for numbers beyond 1e10.")  \
  F(nan_guard_action, "NanGuardMode.action", NanGuardAction, "raise",                                        \
    "What NanGuardMode does about what it finds.")                                                           \
  F(debug_patience, "DebugMode.patience", int, "3",                                                          \
    "How many schedules DebugMode tries beside the usual one: each has an order of steps, memory contents, " \
    "alignments and strides of its own.")                                                                    \
  F(debug_check_gradients, "DebugMode.check_gradients", bool, "true",                                        \
    "DebugMode compares the gradient of every op with finite differences, once a function.")                 \
  F(debug_check_finite, "DebugMode.check_finite", bool, "false",                                             \
    "DebugMode takes a NaN or an infinity that a node makes of finite numbers for a fault.")                 \
  F(debug_report_dir, "DebugMode.report_dir", std::filesystem::path, "",                                     \
    "Where DebugMode and NanGuardMode write what croton replay runs; empty is the system's temporary "       \
    "folder, none writes nothing.")                                                                          \
  F(cmp_sloppy, "tensor.cmp_sloppy", int, "0",                                                               \
    "DebugMode and croton bisect allow differences ten times as large for each step of this.")               \
  F(compute_test_value, "compute_test_value", ComputeTestValue, "off",                                       \
    "Compute every node from the test values of its inputs when it is made; ignore, warn or raise says "     \
    "what happens where an input has none.")                                                                 \
  F(allocations, "allocations", Allocations, "allow",                                                        \
    "What happens when a call allocates memory for tensors after the first two with its shapes; functions "  \
    "made while this is warn or raise watch for it.")                                                        \
  F(optimizer, "optimizer", OptimizerName, "fast_run",                                                       \
    "The rewrites of modes that run them all: fast_compile leaves out fusion and what else FAST_COMPILE "    \
    "leaves out, under DebugMode and NanGuardMode too.")                                                     \
  F(optimizer_including, "optimizer_including", FlagList, "",                                                \
    "Names or tags of rewrites and implementations to add.")                                                 \
  F(optimizer_excluding, "optimizer_excluding", FlagList, "",                                                \
    "Names or tags of rewrites and implementations to leave out; beats including.")                          \
  F(optimizer_requiring, "optimizer_requiring", FlagList, "",                                                \
    "Tags of which a rewrite must have one to run.")                                                         \
  F(local_elemwise_fusion, "tensor.local_elemwise_fusion", bool, "true",                                     \
    "Several nodes become one kernel; false is optimizer_excluding=fusion.")                                 \
  F(max_use_ratio, "optdb.max_use_ratio", int, "8",                                                          \
    "How often a rewrite may apply for each node of a graph before it is stopped with a warning.")           \
  F(optimizer_verbose, "optimizer_verbose", bool, "false", "Report every rewrite that applies, and where.")  \
  F(on_opt_error, "on_opt_error", OnOptError, "warn",                                                        \
    "What happens when a rewrite fails with an error: the rewrite is left out there, with a warning or "     \
    "without, or the error is raised.")                                                                      \
  F(on_unused_input, "on_unused_input", OnUnusedInput, "raise",                                              \
    "What function() does about an input that no output needs.")                                             \
  F(profile, "profile", bool, "false", "Measure every node of every function and report at the end.")        \
  F(profile_memory, "profile_memory", bool, "true",                                                          \
    "Reports have the memory of a plan over time, its peak, and what in-place computation saved.")           \
  F(profile_optimizer, "profile_optimizer", bool, "true",                                                    \
    "Reports have the time that compiling took by phase and rewrite.")                                       \
  F(profiling_n_apply, "profiling.n_apply", int, "20", "Nodes that a report lists, the slowest first.")      \
  F(profiling_n_ops, "profiling.n_ops", int, "20", "Ops and classes of ops that a report lists.")            \
  F(profiling_min_memory_size, "profiling.min_memory_size", int, "1024",                                     \
    "Reports list no value of fewer bytes among those that are alive at the peak.")                          \
  F(profiling_output_line_width, "profiling.output_line_width", int, "512",                                  \
    "Characters after which a report cuts the label of a node.")                                             \
  F(profiling_ignore_first_call, "profiling.ignore_first_call", bool, "false",                               \
    "Profiles begin with a function's second call: the first one compiles.")                                 \
  F(profiling_debugprint, "profiling.debugprint", bool, "false",                                             \
    "What is reported at the end of the program has the graph of each function, with times.")                \
  F(profiling_destination, "profiling.destination", std::filesystem::path, "stderr",                         \
    "Where reports at the end of the program go: stderr (the message sink) or a file, to which they are "    \
    "added.")                                                                                                \
  F(profiling_trace_file, "profiling.trace_file", std::filesystem::path, "",                                 \
    "Profile every function made from now on, and write what ran when, on which thread, to this file at "    \
    "the end, as JSON for Perfetto (ui.perfetto.dev).")                                                      \
  F(threads, "threads", int, "0", "Threads that a function may use; 0 takes what the machine grants.")       \
  F(cache_dir, "cache_dir", std::filesystem::path, "",                                                       \
    "Where compiled kernels are kept; empty is $XDG_CACHE_HOME/croton (or ~/.cache/croton), none keeps "     \
    "none.")                                                                                                 \
  F(deterministic, "deterministic", bool, "false",                                                           \
    "Only implementations whose results are the same bits in every run.")                                    \
  F(precision, "precision", Precision, "ieee",                                                               \
    "The arithmetic of float32: ieee allows nothing below it; tf32 and bf16 let the libraries of CUDA "      \
    "devices "                                                                                               \
    "round the factors of products and convolutions to 11 and 8 significant bits.")                          \
  F(exception_verbosity, "exception_verbosity", Verbosity, "low",                                            \
    "How much an error in a running function shows: high adds the graph of the node and the memory in use.") \
  F(dnn_conv_algo_fwd, "dnn.conv.algo_fwd", DnnAlgoFwd, "time_on_shape_change",                              \
    "Which of cuDNN's algorithms computes convolutions: one by name (none is its implicit product, "         \
    "small that with precomputed indices, large an explicit one; none again where cuDNN refuses it), "       \
    "guess by the library's estimate, time by measurement, once for the first shape of images or on "        \
    "every change of shapes.")                                                                               \
  F(dnn_conv_algo_bwd_data, "dnn.conv.algo_bwd_data", DnnAlgoBwdData, "time_on_shape_change",                \
    "The same for gradients of inputs; none may differ between runs, deterministic does not.")               \
  F(dnn_conv_algo_bwd_filter, "dnn.conv.algo_bwd_filter", DnnAlgoBwdFilter, "time_on_shape_change",          \
    "The same for gradients of filters; none and small may differ between runs, deterministic does not.")    \
  F(dnn_conv_precision, "dnn.conv.precision", DnnPrecision, "as_input_f32",                                  \
    "The dtype in which cuDNN's convolutions add up: as_input_f32 is float32 for float16 and bfloat16 "      \
    "too, and stands in where cuDNN does not have the one that is said.")                                    \
  F(strict_cuda_convnet, "strict_cuda_convnet", bool, "false",                                               \
    "FilterActs, ImageActs, WeightActs, pooling over c01b and optimizer_including=conv_c01b refuse "         \
    "what cuda-convnet refused: other numbers of channels, filters and images, images and filters that "     \
    "are no squares.")                                                                                       \
  F(metaopt_verbose, "metaopt.verbose", int, "0",                                                            \
    "What optimizer_including=conv_meta reports: 1 the candidates of each convolution that is measured and " \
    "the "                                                                                                   \
    "fastest, 2 every sample too.")                                                                          \
  F(metaopt_budget, "metaopt.budget", int, "3000",                                                           \
    "Milliseconds after which no further candidate of a convolution is run and no further round of "         \
    "measurements begun; compiling them does not count.")                                                    \
  F(metaopt_max_workspace, "metaopt.max_workspace", int, "0",                                                \
    "MiB beside operands and result that an implementation of a convolution may take; 0 sets no bound.")     \
  F(metaopt_max_error, "metaopt.max_error", double, "0",                                                     \
    "The error relative to the largest result that an implementation of a convolution may have; 0 is twice " \
    "that of sums in float32, more where precision allows it.")                                              \
  F(metaopt_replay, "metaopt.replay", LedgerReplay, "on",                                                    \
    "Whether measurements of convolutions are taken from the ledger: on measures what is missing, strict "   \
    "makes that an error, off leaves the ledger alone.")                                                     \
  F(metaopt_ledger, "metaopt.ledger", std::filesystem::path, "",                                             \
    "The file of these measurements; empty is convolutions.sqlite in the folder of compiled kernels, none "  \
    "keeps none.")

}  // namespace croton
