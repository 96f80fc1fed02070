#include "croton/codegen/cuda_contraction.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <limits>

#include "croton/codegen/cuda_contraction_geometry.h"
#include "croton/codegen/cuda_contraction_structure.h"
#include "croton/graph/error.h"

namespace croton {

namespace {

/// Writes the structure of a contraction and the launches that take it.
class ContractionWriter {
 public:
  ContractionWriter(const CudaContraction& c, const std::string& name) : c_(c), types_(c) {
    for (const char ch : name) name_ += std::isalnum(static_cast<unsigned char>(ch)) != 0 ? ch : '_';
  }

  CudaSource write() {
    structure_ = contraction_structure(c_, name_);
    if (std::max(structure_.blocks, structure_.packing_blocks) > std::numeric_limits<std::int32_t>::max())
      throw InternalError("a contraction of more blocks than a launch has");
    if (c_.result_count == 0) return {};
    source_.text = structure_.text;
    if (structure_.packing_blocks > 0) {
      if (c_.is_scaled()) split_gathered();
      if (!c_.is_direct) pack();
    }
    if (structure_.blocks > 0) {
      if (c_.is_direct) {
        multiply_as_they_lie();
      } else {
        multiply();
      }
    }
    if (c_.has_partial()) add_up();
    return std::move(source_);
  }

 private:
  struct Launch {
    std::string_view suffix;
    std::string parameters, call;
    std::int64_t grid = 1, block = threads_that_copy;
    std::uint32_t shared_bytes = 0;
    int blocks_together = 0;  // that a multiprocessor has registers for; 0: as the compiler likes
    std::vector<std::int32_t> buffers;
  };

  void add(Launch launch) {
    const std::string function = fmt::format("{}_{}", name_, launch.suffix);
    const std::string together =
        launch.blocks_together > 0 ? fmt::format(", {}", launch.blocks_together) : std::string();
    source_.text += fmt::format("extern \"C\" __global__ void __launch_bounds__({}{}) {}({}) {{\n  {}\n}}\n",
                                launch.block, together, function, launch.parameters, launch.call);
    source_.phases.push_back({.function = function,
                              .grid = static_cast<std::uint32_t>(launch.grid),
                              .block = static_cast<std::uint32_t>(launch.block),
                              .shared_bytes = launch.shared_bytes,
                              .buffers = std::move(launch.buffers)});
  }

  /// Where the halves of the gathered operand begin: behind the scales and the packed operand.
  std::int64_t first_half() const { return c_.packed_bytes() / 4 - c_.gathered_count; }

  void split_gathered() {
    add({.suffix = "scale",
         .parameters = "const float* gathered, const float* other, u32* packed",
         .call = fmt::format("find_scales<{}_cut>(gathered, other, packed);", name_),
         .grid = 2 * blocks_that_scale,
         .shared_bytes = 4 * threads_that_copy,
         .buffers = {0, 1, 3}});
    add({.suffix = "split",
         .parameters = "const float* gathered, u32* packed",
         .call = fmt::format("split_operand<{}_cut>(gathered, packed, packed + {});", name_, first_half()),
         .grid = quotient_up(quotient_up(c_.gathered_count, 4), threads_that_copy),
         .buffers = {0, 3}});
  }

  void pack() {
    add({.suffix = "pack",
         .parameters = fmt::format("const {}* operand, u32* packed", types_.element),
         .call = fmt::format("pack_operand<{}_cut>(operand, packed);", name_),
         .grid = structure_.packing_blocks,
         .buffers = {1, 3}});
  }

  Launch multiplying(std::string parameters, std::string call, std::vector<std::int32_t> buffers) const {
    // Registers for as many blocks as there is shared memory for.
    const int threads = c_.tile.threads();
    const int by_memory = static_cast<int>(224u * 1024u / (structure_.shared_bytes + 1024u));
    const int by_registers = 65536 / (threads * registers_of(c_));
    return {.suffix = "multiply",
            .parameters = std::move(parameters),
            .call = std::move(call),
            .grid = structure_.blocks,
            .block = threads,
            .shared_bytes = structure_.shared_bytes,
            .blocks_together = std::max(1, std::min(by_memory, by_registers)),
            .buffers = std::move(buffers)};
  }

  void multiply_as_they_lie() {
    // Pointers that are absent are null.
    std::vector<std::int32_t> buffers{0, 1, 2, 4};
    std::string parameters = "const float* gathered, const float* other, float* result, float* partial";
    std::string finish;
    for (const auto& [what, buffer] :
         {std::pair("addend", c_.finish.addend), {"alpha", c_.finish.alpha}, {"beta", c_.finish.beta}}) {
      finish += buffer >= 0 ? fmt::format("{}, ", what) : "nullptr, ";
      if (buffer < 0) continue;
      parameters += fmt::format(", const float* {}", what);
      buffers.push_back(buffer);
    }
    add(multiplying(
        parameters,
        fmt::format("contract<{0}_cut>(gathered, other, result, ProductFinish<{0}_cut>{{{1}partial}});",
                    name_, finish),
        std::move(buffers)));
  }

  void multiply() {
    const bool has_halves = c_.is_scaled(), folds = c_.fold.is_in_blocks();
    const std::int32_t to = c_.has_partial() ? 4 : 2;
    const std::string gathered =
        has_halves ? fmt::format("reinterpret_cast<const float*>(packed + {})", first_half()) : "gathered";
    add(multiplying(has_halves ? fmt::format("const u32* packed, {}* result", types_.result)
                               : fmt::format("const {}* gathered, const u32* packed, {}* result",
                                             types_.element, types_.result),
                    fmt::format("{}<{}_cut>({}, packed, result{});", folds ? "contract_and_fold" : "contract",
                                name_, gathered, folds ? "" : ", SumsThemselves()"),
                    has_halves ? std::vector<std::int32_t>{3, to} : std::vector<std::int32_t>{0, 3, to}));
  }

  void add_up() {
    add({.suffix = c_.folds() ? "fold" : "add",
         .parameters = fmt::format("const {}* partial, {}* result", types_.value, types_.element),
         .call = fmt::format("{}<{}_cut>(partial, result);", c_.folds() ? "fold_taps" : "add_splits", name_),
         .grid = quotient_up(c_.folds() ? fold_threads(c_) : c_.result_count, threads_that_copy),
         .buffers = {4, 2}});
  }

  const CudaContraction& c_;
  const ContractionTypes types_;
  std::string name_ = "croton_";
  ContractionStructure structure_;
  CudaSource source_;
};

}  // namespace

CudaSource emit_contraction(const CudaContraction& contraction, const std::string& name) {
  return ContractionWriter(contraction, name).write();
}

}  // namespace croton
