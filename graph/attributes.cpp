#include "croton/graph/attributes.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "croton/graph/error.h"
#include "croton/graph/hash.h"
#include "croton/graph/subgraph.h"

namespace croton {

MissingAttributeError::MissingAttributeError(std::string attribute)
    : InternalError(fmt::format("a node lacks its attribute '{}', or has it with another type", attribute)),
      attribute_(std::move(attribute)) {}

struct Attributes::Data {
  std::vector<Entry> entries;
  std::size_t hash = 0;
};

namespace {

struct HashValue {
  std::size_t operator()(bool v) const { return v ? 2 : 1; }
  std::size_t operator()(std::int64_t v) const { return std::hash<std::int64_t>()(v); }
  // By the bits: 0.0 and -0.0 differ, a NaN equals itself.
  std::size_t operator()(double v) const {
    return std::hash<std::uint64_t>()(std::bit_cast<std::uint64_t>(v));
  }
  std::size_t operator()(const std::string& v) const { return std::hash<std::string>()(v); }
  std::size_t operator()(DType v) const { return static_cast<std::size_t>(v); }
  std::size_t operator()(const std::vector<std::int64_t>& v) const {
    std::size_t seed = v.size();
    for (std::int64_t x : v) hash_combine(seed, std::hash<std::int64_t>()(x));
    return seed;
  }
  std::size_t operator()(const std::shared_ptr<const Subgraph>& v) const { return v->hash(); }
};

bool equal_values(const AttributeValue& a, const AttributeValue& b) {
  if (a.index() != b.index()) return false;
  if (const double* x = std::get_if<double>(&a)) {
    return std::bit_cast<std::uint64_t>(*x) == std::bit_cast<std::uint64_t>(std::get<double>(b));
  }
  using Inner = std::shared_ptr<const Subgraph>;
  if (const Inner* x = std::get_if<Inner>(&a)) {
    const Inner& y = std::get<Inner>(b);
    return *x == y || **x == *y;
  }
  return a == b;
}

}  // namespace

Attributes::Attributes(std::initializer_list<Entry> entries) : Attributes(std::vector<Entry>(entries)) {}

Attributes::Attributes(std::vector<Entry> entries) {
  if (entries.empty()) return;
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.first < b.first; });
  auto data = std::make_shared<Data>();
  for (const Entry& entry : entries) {
    hash_combine(data->hash, std::hash<std::string>()(entry.first));
    hash_combine(data->hash, std::visit(HashValue{}, entry.second));
  }
  data->entries = std::move(entries);
  data_ = std::move(data);
}

const Attributes::Entry* Attributes::begin() const { return data_ ? data_->entries.data() : nullptr; }
const Attributes::Entry* Attributes::end() const {
  return data_ ? data_->entries.data() + data_->entries.size() : nullptr;
}

const AttributeValue* Attributes::find(std::string_view name) const {
  for (const Entry& entry : *this) {
    if (entry.first == name) return &entry.second;
  }
  return nullptr;
}

Attributes Attributes::with(std::string_view name, AttributeValue value) const {
  std::vector<Entry> entries(begin(), end());
  for (Entry& entry : entries) {
    if (entry.first == name) {
      entry.second = std::move(value);
      return Attributes(std::move(entries));
    }
  }
  entries.emplace_back(std::string(name), std::move(value));
  return Attributes(std::move(entries));
}

Attributes Attributes::without(std::string_view name) const {
  std::vector<Entry> entries(begin(), end());
  std::erase_if(entries, [&](const Entry& entry) { return entry.first == name; });
  return Attributes(std::move(entries));
}

std::size_t Attributes::hash() const { return data_ ? data_->hash : 0; }

bool operator==(const Attributes& a, const Attributes& b) {
  if (a.data_ == b.data_) return true;
  if (!a.data_ || !b.data_ || a.data_->hash != b.data_->hash) return false;
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Attributes::Entry& x, const Attributes::Entry& y) {
                      return x.first == y.first && equal_values(x.second, y.second);
                    });
}

void Attributes::throw_missing(std::string_view name) { throw MissingAttributeError(std::string(name)); }

}  // namespace croton
