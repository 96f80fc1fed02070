#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "croton/codegen/lower_context.h"
#include "croton/codegen/lower_fold.h"

namespace croton {

/// What a reduction does, apart from how its loops run.
struct Reduction {
  std::size_t full_inputs = 0;  // of the shape before the reduction; the others have the result's shape
  std::vector<std::int64_t> axes;
  std::vector<Fold> folds;
  /// The values to fold, from one element of each full input.
  std::function<std::vector<ScalarValue>(KernelBuilder&, std::span<const ScalarValue>)> element;
  /// The outputs, from the folded values and the other inputs.
  std::function<std::vector<ScalarValue>(KernelBuilder&, std::span<const ScalarValue>)> finish;
};

/// The loops of a reduction.
class ReduceNest {
 public:
  ReduceNest(const LowerContext& context, const Reduction& reduction, std::string name);

  NodeCode lower();

 private:
  // lower_reduce.cpp
  void split_axes();
  /// The values of the element at these loop indices, cast to the accumulators' dtypes.
  std::vector<ScalarValue> element(std::span<const Index> kept, std::span<const Index> reduced);
  void finish(std::span<const Index> kept, std::span<const ScalarValue> folded);
  std::vector<Local> locals(const char* name);
  void fold_into(const std::vector<Local>& into, std::span<const ScalarValue> values);
  std::vector<ScalarValue> values_of(const std::vector<Local>& list);
  std::vector<Buffer> partials(std::int64_t count);

  // lower_reduce_cpu.cpp
  void lower_on_cpu();
  std::size_t longest_reduced_loop() const;
  std::int64_t longest_reduced() const;
  /// Loops over the reduced elements from the outermost loop on; loop `cut` runs in [begin, end). With
  /// `lanes`, the last loop is a vector loop.
  void reduce_elements(const std::vector<Local>& into, std::span<const Index> kept, std::size_t cut,
                       Index begin, Index end, bool lanes);
  void whole_rows();
  void row_chunks(std::int64_t chunks);
  void columns_in_registers();
  /// Rows are read as they lie and added to a row of partial results that stays in the cache.
  void streamed_columns();
  /// Partial results in a fixed order, for each kept element.
  void combine(const std::vector<Buffer>& partial, std::int64_t chunks,
               const std::function<Index(Index, Index)>& position);

  // lower_reduce_gpu.cpp
  /// On a GPU: a group of threads a row, or a thread a column; where these are too few, each takes one of
  /// several chunks of the reduced elements and a second phase combines the partial results in order.
  void lower_on_gpu();
  /// element() of the flat index of a reduced element.
  std::vector<ScalarValue> flat_element(std::span<const Index> kept, Index flat);
  void gpu_rows(std::int64_t chunks, std::int64_t length);
  void gpu_columns(std::int64_t chunks, std::int64_t length);
  /// Few columns, by a thread a column and share of a chunk: rows of threads side by side have neighbouring
  /// columns, and their shares are added in shared memory.
  void gpu_column_shares();
  /// The values to fold of that element; what changes nothing where it lies behind the last one.
  std::vector<ScalarValue> element_or_nothing(std::span<const Index> kept, Index flat, bool exists);
  /// The results of columns from partial results by chunk, in order.
  void add_column_chunks(const std::vector<Buffer>& partial, std::int64_t chunks);

  const LowerContext& context_;
  const Reduction& reduction_;
  NodeKernel kernel_;
  KernelBuilder& b_;
  std::vector<Buffer> inputs_, outputs_;
  IterationSpace kept_;     // operands: full inputs, other inputs, outputs
  IterationSpace reduced_;  // operands: full inputs
  std::size_t leader_ = 0;
};

}  // namespace croton
