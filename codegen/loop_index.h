#pragma once

#include <cstdint>
#include <limits>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "croton/graph/export.h"

namespace croton {

/// What an index expression is made of. Sums are kept in one normal form (affine), everything else is an atom
/// of such sums.
enum class IndexOp : std::uint8_t {
  affine,     ///< constant + sum of coefficient * atom; a constant is an affine node without terms
  variable,   ///< the index variable of a loop or phase
  value,      ///< an integer computed by the kernel: operands[0] is the instruction
  worker,     ///< the number of the thread that runs the phase, 0 … threads - 1
  mul,        ///< product of two expressions, neither constant
  floor_div,  ///< rounds towards minus infinity; the divisor is > 0
  mod,        ///< 0 <= result < divisor
  min,
  max,
  select,  ///< operands[0] is a bool instruction, then the two expressions
};

/// A node of an index expression: int64 arithmetic, immutable, equal nodes are one node.
struct IndexNode {
  IndexOp op = IndexOp::affine;
  std::int64_t constant = 0;                                 ///< affine: the constant part
  std::vector<std::pair<std::int32_t, std::int64_t>> terms;  ///< affine: (atom, coefficient), by atom, none 0
  std::int32_t operands[3] = {-1, -1, -1};  ///< variable: its number; otherwise nodes, see IndexOp
  /// Bounds of the value, both included, as far as they are known.
  std::int64_t low = std::numeric_limits<std::int64_t>::min();
  std::int64_t high = std::numeric_limits<std::int64_t>::max();
};

class IndexTable;

/// An index expression in a kernel that is being built: a cheap handle, with operators. Plain integers
/// convert. Expressions fold as they are made: (4 * i + j) / 4 is i when 0 <= j < 4.
class CROTON_API Index {
 public:
  Index() = default;
  Index(std::int64_t constant) : constant_(constant) {}
  Index(int constant) : constant_(constant) {}
  Index(IndexTable* table, std::int32_t id) : table_(table), id_(id) {}

  bool is_constant() const;
  /// The value of a constant expression.
  std::int64_t constant() const;
  std::int64_t low() const;
  std::int64_t high() const;

  IndexTable* table() const { return table_; }
  std::int32_t id() const { return id_; }

 private:
  IndexTable* table_ = nullptr;
  std::int32_t id_ = -1;
  std::int64_t constant_ = 0;
};

CROTON_API Index operator+(Index a, Index b);
CROTON_API Index operator-(Index a, Index b);
CROTON_API Index operator*(Index a, Index b);
/// Rounds towards minus infinity. The divisor must be > 0.
CROTON_API Index floor_div(Index a, Index b);
/// a - b * floor_div(a, b): never negative. The divisor must be > 0.
CROTON_API Index mod(Index a, Index b);
CROTON_API Index min(Index a, Index b);
CROTON_API Index max(Index a, Index b);
inline Index operator/(Index a, Index b) { return floor_div(a, b); }
inline Index operator%(Index a, Index b) { return mod(a, b); }
inline Index& operator+=(Index& a, Index b) { return a = a + b; }

/// The nodes of a kernel's index expressions, hash-consed.
class CROTON_API IndexTable {
 public:
  std::int32_t constant(std::int64_t value);
  /// A variable with one possible value is that constant.
  std::int32_t variable(std::int32_t number, std::int64_t low, std::int64_t high);
  std::int32_t value(std::int32_t instruction);
  std::int32_t worker();
  std::int32_t add(std::int32_t a, std::int32_t b, std::int64_t scale_of_b = 1);
  std::int32_t mul(std::int32_t a, std::int32_t b);
  std::int32_t floor_div(std::int32_t a, std::int32_t b);
  std::int32_t mod(std::int32_t a, std::int32_t b);
  std::int32_t min(std::int32_t a, std::int32_t b);
  std::int32_t max(std::int32_t a, std::int32_t b);
  std::int32_t select(std::int32_t condition, std::int32_t a, std::int32_t b);

  const IndexNode& operator[](std::int32_t id) const { return nodes_[static_cast<std::size_t>(id)]; }
  bool is_constant(std::int32_t id) const;
  std::vector<IndexNode> take() && { return std::move(nodes_); }

 private:
  std::int32_t intern(IndexNode node);
  std::int32_t affine(std::int64_t constant, std::map<std::int32_t, std::int64_t> terms);
  void add_terms(std::int32_t id, std::int64_t scale, std::int64_t& constant,
                 std::map<std::int32_t, std::int64_t>& terms) const;
  std::int32_t divide(std::int32_t a, std::int32_t b, bool remainder);

  std::vector<IndexNode> nodes_;
  std::map<std::vector<std::int64_t>, std::int32_t> known_;
};

}  // namespace croton
