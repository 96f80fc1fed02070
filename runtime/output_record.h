#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <vector>

#include "croton/graph/ref.h"
#include "croton/graph/tensor.h"
#include "croton/runtime/spin_lock.h"

namespace croton {

class OutputRecords;

/// The results of one call. Comes back to its function when the last handle is gone, without the tensors.
class OutputRecord {
 public:
  explicit OutputRecord(std::size_t count) : tensors_(count) {}

  std::vector<Tensor>& tensors() { return tensors_; }
  const std::vector<Tensor>& tensors() const { return tensors_; }
  const std::vector<std::string>& names() const;

  void acquire() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) come_back();
  }

 private:
  friend class OutputRecords;
  void come_back() const;

  std::vector<Tensor> tensors_;
  mutable std::atomic<std::size_t> references_{0};
  Ref<OutputRecords> home_;  // while it is out
  OutputRecord* next_ = nullptr;
};

/// The free records of a function, and what all of them have in common.
class OutputRecords {
 public:
  explicit OutputRecords(std::vector<std::string> names) : names_(std::move(names)) {}
  ~OutputRecords();
  OutputRecords(const OutputRecords&) = delete;
  OutputRecords& operator=(const OutputRecords&) = delete;

  const std::vector<std::string>& names() const { return names_; }
  /// A record with as many undefined tensors as there are names.
  Ref<OutputRecord> take();

  void acquire() const { references_.fetch_add(1, std::memory_order_relaxed); }
  void release() const {
    if (references_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

 private:
  friend class OutputRecord;
  const std::vector<std::string> names_;
  mutable std::atomic<std::size_t> references_{0};
  SpinLock lock_;
  OutputRecord* free_ = nullptr;
};

}  // namespace croton
