#include "croton/runtime/outputs.h"

#include <fmt/format.h>

#include <mutex>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/runtime/output_record.h"

namespace croton {

const std::vector<std::string>& OutputRecord::names() const { return home_->names(); }

void OutputRecord::come_back() const {
  auto* self = const_cast<OutputRecord*>(this);
  for (Tensor& tensor : self->tensors_) tensor = Tensor();
  const Ref<OutputRecords> home = std::move(self->home_);
  const std::lock_guard guard(home->lock_);
  self->next_ = home->free_;
  home->free_ = self;
}

OutputRecords::~OutputRecords() {
  while (free_ != nullptr) {
    OutputRecord* record = free_;
    free_ = record->next_;
    delete record;
  }
}

Ref<OutputRecord> OutputRecords::take() {
  OutputRecord* record = nullptr;
  {
    const std::lock_guard guard(lock_);
    if (free_ != nullptr) {
      record = free_;
      free_ = record->next_;
    }
  }
  if (record == nullptr) record = new OutputRecord(names_.size());
  record->home_ = Ref<OutputRecords>(this);
  return Ref<OutputRecord>(record);
}

Outputs::Outputs() = default;
Outputs::Outputs(Ref<OutputRecord> record) : record_(std::move(record)) {}
Outputs::Outputs(const Outputs&) = default;
Outputs::Outputs(Outputs&&) noexcept = default;
Outputs& Outputs::operator=(const Outputs&) = default;
Outputs& Outputs::operator=(Outputs&&) noexcept = default;
Outputs::~Outputs() = default;

std::size_t Outputs::size() const { return record_ ? record_->tensors().size() : 0; }
const Tensor* Outputs::begin() const { return record_ ? record_->tensors().data() : nullptr; }
const Tensor* Outputs::end() const { return begin() + size(); }

const Tensor& Outputs::operator[](std::size_t position) const {
  if (position >= size()) {
    throw IndexError(fmt::format("result {} of a function that has {}", position, size()));
  }
  return record_->tensors()[position];
}

const Tensor& Outputs::operator[](int position) const {
  if (position < 0) throw IndexError(fmt::format("result {} of a function: count from 0", position));
  return (*this)[static_cast<std::size_t>(position)];
}

const Tensor& Outputs::operator[](std::string_view name) const {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < size(); ++i) {
    if (record_->names()[i] == name) return record_->tensors()[i];
    if (!record_->names()[i].empty()) names.push_back(record_->names()[i]);
  }
  throw ValueError(fmt::format("no result is called '{}'{}", name, did_you_mean(name, names)));
}

const Tensor& Outputs::tensor() const {
  if (size() != 1) {
    throw ValueError(
        fmt::format("the function has {} results: take one of them by its position or name", size()));
  }
  return record_->tensors()[0];
}

}  // namespace croton
