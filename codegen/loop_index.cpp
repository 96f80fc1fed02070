#include "croton/codegen/loop_index.h"

#include <algorithm>

#include "croton/graph/error.h"

namespace croton {

namespace {

constexpr std::int64_t lowest = std::numeric_limits<std::int64_t>::min();
constexpr std::int64_t highest = std::numeric_limits<std::int64_t>::max();

// Bounds saturate: lowest and highest stand for "unknown".
std::int64_t saturating_add(std::int64_t a, std::int64_t b) {
  if (a == lowest || b == lowest) return lowest;
  if (a == highest || b == highest) return highest;
  std::int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) return a < 0 ? lowest : highest;
  return sum;
}

std::int64_t saturating_mul(std::int64_t a, std::int64_t b) {
  if (a == 0 || b == 0) return 0;
  std::int64_t product;
  if (a == lowest || a == highest || b == lowest || b == highest || __builtin_mul_overflow(a, b, &product)) {
    return (a < 0) == (b < 0) ? highest : lowest;
  }
  return product;
}

std::int64_t floor_quotient(std::int64_t a, std::int64_t b) {
  return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0);
}

std::int64_t floor_remainder(std::int64_t a, std::int64_t b) { return a - b * floor_quotient(a, b); }

std::int64_t divide_bound(std::int64_t a, std::int64_t b) {
  return a == lowest || a == highest ? a : floor_quotient(a, b);
}

/// The table of two handles and their nodes in it; constants enter the table of the other.
struct Pair {
  IndexTable* table = nullptr;
  std::int32_t a = -1, b = -1;
  Pair(Index x, Index y) {
    table = x.table() != nullptr ? x.table() : y.table();
    if (table == nullptr) return;
    if (x.table() != nullptr && y.table() != nullptr && x.table() != y.table()) {
      throw InternalError("index expressions of two kernels were combined");
    }
    a = x.table() != nullptr ? x.id() : table->constant(x.constant());
    b = y.table() != nullptr ? y.id() : table->constant(y.constant());
  }
};

}  // namespace

bool Index::is_constant() const { return table_ == nullptr || table_->is_constant(id_); }
std::int64_t Index::constant() const {
  if (!is_constant()) throw InternalError("the index expression is not a constant");
  return table_ == nullptr ? constant_ : (*table_)[id_].constant;
}
std::int64_t Index::low() const { return table_ == nullptr ? constant_ : (*table_)[id_].low; }
std::int64_t Index::high() const { return table_ == nullptr ? constant_ : (*table_)[id_].high; }

Index operator+(Index a, Index b) {
  const Pair p(a, b);
  return p.table == nullptr ? Index(a.constant() + b.constant()) : Index(p.table, p.table->add(p.a, p.b));
}
Index operator-(Index a, Index b) {
  const Pair p(a, b);
  return p.table == nullptr ? Index(a.constant() - b.constant()) : Index(p.table, p.table->add(p.a, p.b, -1));
}
Index operator*(Index a, Index b) {
  const Pair p(a, b);
  return p.table == nullptr ? Index(a.constant() * b.constant()) : Index(p.table, p.table->mul(p.a, p.b));
}
Index floor_div(Index a, Index b) {
  if (b.low() <= 0) throw InternalError("the divisor of an index expression may be 0 or negative");
  const Pair p(a, b);
  return p.table == nullptr ? Index(floor_quotient(a.constant(), b.constant()))
                            : Index(p.table, p.table->floor_div(p.a, p.b));
}
Index mod(Index a, Index b) {
  if (b.low() <= 0) throw InternalError("the divisor of an index expression may be 0 or negative");
  const Pair p(a, b);
  return p.table == nullptr ? Index(floor_remainder(a.constant(), b.constant()))
                            : Index(p.table, p.table->mod(p.a, p.b));
}
Index min(Index a, Index b) {
  const Pair p(a, b);
  return p.table == nullptr ? Index(std::min(a.constant(), b.constant()))
                            : Index(p.table, p.table->min(p.a, p.b));
}
Index max(Index a, Index b) {
  const Pair p(a, b);
  return p.table == nullptr ? Index(std::max(a.constant(), b.constant()))
                            : Index(p.table, p.table->max(p.a, p.b));
}

std::int32_t IndexTable::intern(IndexNode node) {
  std::vector<std::int64_t> key = {static_cast<std::int64_t>(node.op), node.constant, node.operands[0],
                                   node.operands[1], node.operands[2]};
  for (const auto& [atom, coefficient] : node.terms) {
    key.push_back(atom);
    key.push_back(coefficient);
  }
  const auto [found, is_new] = known_.try_emplace(std::move(key), static_cast<std::int32_t>(nodes_.size()));
  if (is_new) nodes_.push_back(std::move(node));
  return found->second;
}

bool IndexTable::is_constant(std::int32_t id) const {
  const IndexNode& node = (*this)[id];
  return node.op == IndexOp::affine && node.terms.empty();
}

std::int32_t IndexTable::constant(std::int64_t value) { return affine(value, {}); }

std::int32_t IndexTable::variable(std::int32_t number, std::int64_t low, std::int64_t high) {
  if (low == high) return constant(low);
  IndexNode node;
  node.op = IndexOp::variable;
  node.operands[0] = number;
  node.low = low;
  node.high = high;
  return intern(std::move(node));
}

std::int32_t IndexTable::value(std::int32_t instruction) {
  IndexNode node;
  node.op = IndexOp::value;
  node.operands[0] = instruction;
  return intern(std::move(node));
}

std::int32_t IndexTable::worker() {
  IndexNode node;
  node.op = IndexOp::worker;
  node.low = 0;
  node.high = std::numeric_limits<std::int32_t>::max();
  return intern(std::move(node));
}

void IndexTable::add_terms(std::int32_t id, std::int64_t scale, std::int64_t& constant,
                           std::map<std::int32_t, std::int64_t>& terms) const {
  const IndexNode& node = (*this)[id];
  if (node.op != IndexOp::affine) {
    terms[id] += scale;
    return;
  }
  constant += scale * node.constant;
  for (const auto& [atom, coefficient] : node.terms) terms[atom] += scale * coefficient;
}

std::int32_t IndexTable::affine(std::int64_t constant, std::map<std::int32_t, std::int64_t> terms) {
  IndexNode node;
  node.constant = constant;
  node.low = node.high = constant;
  for (const auto& [atom, coefficient] : terms) {
    if (coefficient == 0) continue;
    node.terms.emplace_back(atom, coefficient);
    const IndexNode& of = (*this)[atom];
    const std::int64_t one = saturating_mul(of.low, coefficient);
    const std::int64_t other = saturating_mul(of.high, coefficient);
    node.low = saturating_add(node.low, std::min(one, other));
    node.high = saturating_add(node.high, std::max(one, other));
  }
  if (node.constant == 0 && node.terms.size() == 1 && node.terms[0].second == 1) return node.terms[0].first;
  return intern(std::move(node));
}

std::int32_t IndexTable::add(std::int32_t a, std::int32_t b, std::int64_t scale_of_b) {
  std::int64_t constant = 0;
  std::map<std::int32_t, std::int64_t> terms;
  add_terms(a, 1, constant, terms);
  add_terms(b, scale_of_b, constant, terms);
  return affine(constant, std::move(terms));
}

std::int32_t IndexTable::mul(std::int32_t a, std::int32_t b) {
  if (is_constant(a)) std::swap(a, b);
  if (is_constant(b)) return add(constant(0), a, (*this)[b].constant);
  IndexNode node;
  node.op = IndexOp::mul;
  node.operands[0] = std::min(a, b);
  node.operands[1] = std::max(a, b);
  const IndexNode &x = (*this)[a], &y = (*this)[b];
  const std::int64_t corners[] = {saturating_mul(x.low, y.low), saturating_mul(x.low, y.high),
                                  saturating_mul(x.high, y.low), saturating_mul(x.high, y.high)};
  node.low = *std::min_element(corners, corners + 4);
  node.high = *std::max_element(corners, corners + 4);
  return intern(std::move(node));
}

// With a constant divisor d, what d divides leaves the expression: (d * q + r) / d is q + r / d. What remains
// vanishes when its bounds lie in [0, d).
std::int32_t IndexTable::divide(std::int32_t a, std::int32_t b, bool remainder) {
  if (is_constant(b)) {
    const std::int64_t d = (*this)[b].constant;
    std::int64_t offset = 0;
    std::map<std::int32_t, std::int64_t> terms, quotient, rest;
    add_terms(a, 1, offset, terms);
    for (const auto& [atom, coefficient] : terms) {
      if (coefficient % d == 0) {
        quotient[atom] = coefficient / d;
      } else {
        rest[atom] = coefficient;
      }
    }
    const std::int64_t whole = floor_quotient(offset, d);
    const std::int32_t left = affine(offset - whole * d, std::move(rest));
    const std::int32_t taken = affine(whole, std::move(quotient));
    const std::int64_t low = (*this)[left].low, high = (*this)[left].high;
    if (low != lowest && high != highest && floor_quotient(low, d) == floor_quotient(high, d)) {
      const std::int64_t q = floor_quotient(low, d);
      return remainder ? add(left, constant(q * d), -1) : add(taken, constant(q));
    }
    IndexNode node;
    node.op = remainder ? IndexOp::mod : IndexOp::floor_div;
    node.operands[0] = left;
    node.operands[1] = b;
    node.low = remainder ? 0 : divide_bound(low, d);
    node.high = remainder ? d - 1 : divide_bound(high, d);
    const std::int32_t atom = intern(std::move(node));
    return remainder ? atom : add(taken, atom);
  }
  const std::int64_t low = (*this)[a].low, high = (*this)[a].high, most = (*this)[b].high;
  IndexNode node;
  node.op = remainder ? IndexOp::mod : IndexOp::floor_div;
  node.operands[0] = a;
  node.operands[1] = b;
  node.low = remainder || low >= 0 ? 0 : low;
  node.high = remainder ? (most == highest ? highest : most - 1) : (high < 0 ? -1 : high);
  return intern(std::move(node));
}

std::int32_t IndexTable::floor_div(std::int32_t a, std::int32_t b) { return divide(a, b, false); }
std::int32_t IndexTable::mod(std::int32_t a, std::int32_t b) { return divide(a, b, true); }

std::int32_t IndexTable::min(std::int32_t a, std::int32_t b) {
  const IndexNode &x = (*this)[a], &y = (*this)[b];
  if (a == b || x.high <= y.low) return a;
  if (y.high <= x.low) return b;
  IndexNode node;
  node.op = IndexOp::min;
  node.operands[0] = std::min(a, b);
  node.operands[1] = std::max(a, b);
  node.low = std::min(x.low, y.low);
  node.high = std::min(x.high, y.high);
  return intern(std::move(node));
}

std::int32_t IndexTable::max(std::int32_t a, std::int32_t b) {
  const IndexNode &x = (*this)[a], &y = (*this)[b];
  if (a == b || x.low >= y.high) return a;
  if (y.low >= x.high) return b;
  IndexNode node;
  node.op = IndexOp::max;
  node.operands[0] = std::min(a, b);
  node.operands[1] = std::max(a, b);
  node.low = std::max(x.low, y.low);
  node.high = std::max(x.high, y.high);
  return intern(std::move(node));
}

std::int32_t IndexTable::select(std::int32_t condition, std::int32_t a, std::int32_t b) {
  if (a == b) return a;
  IndexNode node;
  node.op = IndexOp::select;
  node.operands[0] = condition;
  node.operands[1] = a;
  node.operands[2] = b;
  node.low = std::min((*this)[a].low, (*this)[b].low);
  node.high = std::max((*this)[a].high, (*this)[b].high);
  return intern(std::move(node));
}

}  // namespace croton
