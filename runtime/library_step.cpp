#include "croton/runtime/library_step.h"

#include <mutex>
#include <unordered_map>
#include <utility>

#include "croton/ops/blas.h"
#include "croton/ops/conv_implementations.h"
#include "croton/runtime/dnn_convolution.h"
#include "croton/runtime/dnn_corr_mm.h"
#include "croton/runtime/dnn_product.h"
#include "croton/runtime/own_library_step.h"

namespace croton {

namespace {

struct LibraryProvider {
  const Op& (*op)();
  std::unique_ptr<LibraryStep> (*make)(const Node&, std::span<const Layout>, std::span<const Layout>);
};

/// The only registration: which library computes which op.
constexpr LibraryProvider library_providers[] = {
    {dot_op, make_dnn_product},          {dot22_op, make_dnn_product}, {dot22_scalar_op, make_dnn_product},
    {gemm_op, make_dnn_product},         {gemv_op, make_dnn_product},  {corr_mm_op, make_corr_mm},
    {dnn_conv_op, make_dnn_convolution},
};

/// Of ops that are defined outside of the library.
struct Registered {
  std::mutex mutex;
  std::unordered_map<const Op*, MakeLibraryStep> makers;
};

Registered& registered() {
  static Registered& instance = *new Registered;
  return instance;
}

}  // namespace

void register_library_step(const Op& op, MakeLibraryStep make) {
  const std::lock_guard guard(registered().mutex);
  registered().makers.insert_or_assign(&op, std::move(make));
}

std::unique_ptr<LibraryStep> make_library_step(const Node& node, std::span<const Layout> inputs,
                                               std::span<const Layout> outputs) {
  for (const LibraryProvider& provider : library_providers) {
    if (&provider.op() == &node.op()) return provider.make(node, inputs, outputs);
  }
  MakeLibraryStep make;
  {
    const std::lock_guard guard(registered().mutex);
    const auto entry = registered().makers.find(&node.op());
    if (entry != registered().makers.end()) make = entry->second;
  }
  return make ? make(node, inputs, outputs) : nullptr;
}

}  // namespace croton
