#include "croton/runtime/cuda_library_start.h"

#include <mutex>
#include <thread>

#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/ops/blas.h"
#include "croton/ops/conv_shapes.h"
#include "croton/runtime/cuda_blas.h"
#include "croton/runtime/cuda_dnn.h"
#include "croton/runtime/trace.h"

namespace croton {

namespace {

/// One thread: the loader opens one library at a time.
class LibraryStarts {
 public:
  /// A library must not be torn down while it opens.
  ~LibraryStarts() {
    if (thread_.joinable()) thread_.join();
  }
  void start(bool products, bool convolutions) {
    const std::lock_guard guard(mutex_);
    const bool blas = products && !has_blas_, dnn = convolutions && !has_dnn_;
    if (!blas && !dnn) return;
    has_blas_ = has_blas_ || products;
    has_dnn_ = has_dnn_ || convolutions;
    if (thread_.joinable()) thread_.join();
    thread_ = std::thread([blas, dnn] {
      // What is asked for first, whether cuDNN is there, takes a millisecond.
      if (dnn) timed("open cuDNN", [] { (void)cudnn::library(); });
      if (blas) timed("open cuBLASLt", [] { (void)cublaslt::library(); });
      if (dnn) timed("open cuDNN's engines", [] { cudnn::open_engines(); });
    });
  }
  void wait() {
    const std::lock_guard guard(mutex_);
    if (thread_.joinable()) thread_.join();
  }
  static LibraryStarts& instance() {
    static LibraryStarts starts;
    return starts;
  }

 private:
  template <class Open>
  static void timed(const char* what, const Open& open) {
    const auto begin = Trace::Time::clock::now();
    open();
    if (Trace* trace = Trace::active()) trace->slice(trace->label(what), begin, Trace::Time::clock::now());
  }

  std::mutex mutex_;
  std::thread thread_;
  bool has_blas_ = false, has_dnn_ = false;
};

}  // namespace

void start_cuda_libraries(const FunctionGraph& graph) {
  bool has_products = false, has_convolutions = false;
  for (const Ref<Node>& node : graph.nodes()) {
    if (!node->is_apply()) continue;
    has_products = has_products || &node->op() == &dot_op();
    has_convolutions = has_convolutions || conv_direction(node->op()).has_value();
  }
  LibraryStarts::instance().start(has_products, has_convolutions);
}

void open_cuda_libraries() {
  LibraryStarts::instance().start(true, true);
  LibraryStarts::instance().wait();
}

}  // namespace croton
