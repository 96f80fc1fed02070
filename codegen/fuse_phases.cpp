#include "croton/codegen/fuse_phases.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <vector>

namespace croton {

namespace {

// Elements of a row that are kept between its loops, in bytes.
constexpr std::int64_t most_kept_bytes = 96 * 1024;

class PhaseFuser {
 public:
  PhaseFuser(Kernel& kernel, std::size_t second, std::span<const BufferPlace> places)
      : k_(kernel), first_(kernel.phases[second - 1]), second_(kernel.phases[second]), places_(places) {}

  bool fuse() {
    if (first_.extent != second_.extent || first_.mark.kind != second_.mark.kind || !first_.is_parallel ||
        !second_.is_parallel) {
      return false;
    }
    Accesses before, after;
    collect(first_.body, before);
    collect(second_.body, after);
    if (before.is_strange || after.is_strange) return false;
    // Rows are worked on by groups of threads, elements by a thread each.
    const bool are_rows = first_.mark.kind == LoopKind::serial;
    if (before.has_vector_loop != are_rows || after.has_vector_loop != are_rows) return false;
    if (!independent(before, after)) return false;
    for (const auto& [load, value] : known_) replace(load, value);
    std::erase_if(block(first_.body), [&](const Statement& s) {
      return s.kind == Statement::Kind::store && overwritten_.contains(place(s.target).block);
    });
    rename_variable();
    keep_rows();
    std::vector<Statement>& body = block(first_.body);
    const std::vector<Statement> more = block(second_.body);
    body.insert(body.end(), more.begin(), more.end());
    return true;
  }

 private:
  struct Accesses {
    std::vector<std::int32_t> loads;       // instructions
    std::vector<const Statement*> stores;  // wherever they stand
    bool has_vector_loop = false;
    bool is_strange = false;  // does what is not looked at here
  };

  std::vector<Statement>& block(std::int32_t id) {
    return k_.blocks[static_cast<std::size_t>(id)].statements;
  }
  Instruction& instruction(std::int32_t id) { return k_.instructions[static_cast<std::size_t>(id)]; }
  const IndexNode& index(std::int32_t id) const { return k_.indices[static_cast<std::size_t>(id)]; }
  const BufferPlace& place(std::int32_t buffer) const { return places_[static_cast<std::size_t>(buffer)]; }

  void collect(std::int32_t id, Accesses& accesses) {
    if (id < 0) return;
    for (const Statement& s : block(id)) {
      switch (s.kind) {
        case Statement::Kind::compute:
          if (instruction(s.value).kind == Instruction::Kind::load) accesses.loads.push_back(s.value);
          break;
        case Statement::Kind::store:
          accesses.stores.push_back(&s);
          break;
        case Statement::Kind::transpose:
          accesses.is_strange = true;
          break;
        case Statement::Kind::loop:
          accesses.has_vector_loop = accesses.has_vector_loop || s.mark.kind == LoopKind::vectorize;
          break;
        default:
          break;
      }
      collect(s.body, accesses);
      collect(s.other, accesses);
    }
  }

  bool is_variable(std::int32_t id, std::int32_t variable) const {
    return index(id).op == IndexOp::variable && index(id).operands[0] == variable;
  }

  /// The index of a phase, also when it is put together from its digits; of a phase of one index it is the
  /// constant 0.
  bool is_own(std::int32_t id, const Phase& phase) const {
    const IndexNode& n = index(id);
    const bool is_zero = n.op == IndexOp::affine && n.terms.empty() && n.constant == 0;
    return is_variable(id, phase.variable) || (phase.extent == 1 && is_zero) || is_sum_of_digits(n, phase);
  }

  /// floor(i / divisor) mod base of a phase's index i; without a base the whole quotient.
  struct Digit {
    std::int64_t divisor = 1, base = 0;
  };

  std::optional<Digit> digit(std::int32_t id, const Phase& phase) const {
    const IndexNode& n = index(id);
    if (is_variable(id, phase.variable)) return Digit{};
    if (n.op != IndexOp::floor_div && n.op != IndexOp::mod) return std::nullopt;
    const IndexNode& by = index(n.operands[1]);
    const std::optional<Digit> whole = digit(n.operands[0], phase);
    if (!whole || by.op != IndexOp::affine || !by.terms.empty() || by.constant <= 0) return std::nullopt;
    if (whole->base % by.constant != 0) return std::nullopt;
    if (n.op == IndexOp::mod) return Digit{whole->divisor, by.constant};
    return Digit{whole->divisor * by.constant, whole->base / by.constant};
  }

  /// Whether a sum is i because its terms are i's digits, each times its divisor.
  bool is_sum_of_digits(const IndexNode& n, const Phase& phase) const {
    if (n.op != IndexOp::affine || n.constant != 0) return false;
    std::map<std::int64_t, std::int64_t> bases;  // by divisor
    for (const auto& [term, coefficient] : n.terms) {
      const std::optional<Digit> d = digit(term, phase);
      if (!d || d->divisor != coefficient || !bases.emplace(d->divisor, d->base).second) return false;
    }
    // From the lowest digit on each begins where the one before ends; the highest has no base.
    std::int64_t next = 1;
    for (const auto& [divisor, base] : bases) {
      if (next != divisor) return false;
      next = divisor * base;
    }
    return next == 0;
  }

  /// The value that the first phase stores in the element of its index, where that is all it stores there.
  std::optional<std::int32_t> stored_value(const Accesses& before, const BufferPlace& where) {
    std::optional<std::int32_t> value;
    for (const Statement* s : before.stores) {
      if (place(s->target).block != where.block) continue;
      const std::vector<Statement>& top = block(first_.body);
      const bool is_at_top = s >= top.data() && s < top.data() + top.size();
      const DType dtype = k_.buffers[static_cast<std::size_t>(s->target)].dtype;
      if (value || !is_at_top || s->mask >= 0 || place(s->target) != where || !is_own(s->index, first_) ||
          instruction(s->value).dtype != dtype) {
        return std::nullopt;
      }
      value = s->value;
    }
    return value;
  }

  /// Whether a store of the second phase always writes over the element that the first has stored, of a block
  /// that the first does nothing else with.
  bool writes_over_own(const Statement& s, const Accesses& before) {
    const std::vector<Statement>& top = block(second_.body);
    const bool is_at_top = &s >= top.data() && &s < top.data() + top.size();
    const bool is_read = std::ranges::any_of(before.loads, [&](std::int32_t load) {
      return place(instruction(load).target).block == place(s.target).block;
    });
    return is_at_top && s.mask < 0 && !is_read && is_own(s.index, second_) &&
           stored_value(before, place(s.target)).has_value();
  }

  bool independent(const Accesses& before, const Accesses& after) {
    std::set<std::int32_t> written, touched;
    for (const Statement* s : before.stores) written.insert(place(s->target).block);
    touched = written;
    for (const std::int32_t load : before.loads) touched.insert(place(instruction(load).target).block);
    for (const Statement* s : after.stores) {
      const std::int32_t block = place(s->target).block;
      if (!touched.contains(block)) continue;
      // Another index of the first phase may still want what the second writes over.
      if (!writes_over_own(*s, before)) return false;
      overwritten_.insert(block);
    }
    for (const std::int32_t id : after.loads) {
      const Instruction& load = instruction(id);
      if (!written.contains(place(load.target).block)) continue;
      const std::optional<std::int32_t> value = stored_value(before, place(load.target));
      if (!value || load.mask >= 0 || !is_own(load.index, second_) ||
          instruction(*value).dtype != load.dtype) {
        return false;
      }
      known_.emplace(id, *value);
    }
    return true;
  }

  /// A load whose value is known is taken out of its block.
  void replace(std::int32_t load, std::int32_t value) {
    const auto exchange = [&](std::int32_t& id) {
      if (id == load) id = value;
    };
    for (Instruction& i : k_.instructions) {
      if (i.kind != Instruction::Kind::compare_index) std::ranges::for_each(i.operands, exchange);
      exchange(i.mask);
    }
    for (IndexNode& n : k_.indices) {
      if (n.op == IndexOp::value || n.op == IndexOp::select) exchange(n.operands[0]);
    }
    for (Block& b : k_.blocks) {
      std::erase_if(b.statements, [&](const Statement& s) {
        return s.kind == Statement::Kind::compute && s.value == load;
      });
      for (Statement& s : b.statements) {
        exchange(s.value);
        exchange(s.index_value);
        exchange(s.mask);
      }
    }
  }

  void rename_variable() {
    for (IndexNode& n : k_.indices) {
      if (n.op == IndexOp::variable && n.operands[0] == second_.variable) n.operands[0] = first_.variable;
    }
  }

  /// Whether two index expressions are equal when variable `a_variable` in the one is `b_variable` in the
  /// other.
  bool same_index(std::int32_t a, std::int32_t b, std::int32_t a_variable, std::int32_t b_variable) const {
    const IndexNode &x = index(a), &y = index(b);
    if (x.op != y.op || x.constant != y.constant || x.terms.size() != y.terms.size()) return false;
    const auto same = [&](std::int32_t c, std::int32_t d) {
      return same_index(c, d, a_variable, b_variable);
    };
    switch (x.op) {
      case IndexOp::affine:
        // The order of terms is that of their atoms, which may differ.
        return std::ranges::all_of(x.terms, [&](const auto& term) {
          return std::ranges::any_of(y.terms, [&](const auto& other) {
            return term.second == other.second && same(term.first, other.first);
          });
        });
      case IndexOp::variable:
        return x.operands[0] == y.operands[0] || (x.operands[0] == a_variable && y.operands[0] == b_variable);
      case IndexOp::value:
      case IndexOp::select:
      case IndexOp::worker:
        return false;
      default:
        return same(x.operands[0], y.operands[0]) && same(x.operands[1], y.operands[1]);
    }
  }

  /// The bound of a vector loop from 0 in steps of 1; 0 for another.
  std::int64_t trips(const Statement& s) const {
    const auto constant = [&](std::int32_t id) {
      return index(id).op == IndexOp::affine && index(id).terms.empty();
    };
    const bool is_plain = s.kind == Statement::Kind::loop && s.mark.kind == LoopKind::vectorize &&
                          s.step == 1 && constant(s.begin) && constant(s.end) && index(s.begin).constant == 0;
    return is_plain ? std::max<std::int64_t>(index(s.end).constant, 0) : 0;
  }

  std::int32_t variable_node(std::int32_t variable) const {
    for (std::size_t i = 0; i < k_.indices.size(); ++i) {
      if (is_variable(static_cast<std::int32_t>(i), variable)) return static_cast<std::int32_t>(i);
    }
    return -1;
  }

  void keep_rows() {
    std::int64_t kept_bytes = 0;
    std::map<std::int32_t, std::int32_t> arrays;  // by the load that fills them
    std::set<std::int32_t> written;
    for (const Phase* phase : {&first_, &second_}) {
      Accesses accesses;
      collect(phase->body, accesses);
      for (const Statement* s : accesses.stores) written.insert(place(s->target).block);
    }
    for (const Statement& late : block(second_.body)) {
      const std::int64_t count = trips(late);
      if (count == 0) continue;
      for (const Statement& inner : block(late.body)) {
        if (inner.kind != Statement::Kind::compute) continue;
        Instruction& load = instruction(inner.value);
        if (load.kind != Instruction::Kind::load || load.mask >= 0) continue;
        if (written.contains(place(load.target).block)) continue;
        const std::int64_t bytes = count * static_cast<std::int64_t>(size_of(load.dtype));
        if (kept_bytes + bytes > most_kept_bytes) continue;
        const std::optional<Row> row = same_row(late, load);
        if (!row || variable_node(late.target) < 0 || variable_node(row->variable) < 0) continue;
        if (!arrays.contains(row->load)) {
          arrays[row->load] = static_cast<std::int32_t>(k_.arrays.size());
          k_.arrays.push_back({"row", load.dtype, count});
          kept_bytes += bytes;
          keep(*row, arrays[row->load]);
        }
        load.kind = Instruction::Kind::load_array;
        load.target = arrays[row->load];
        load.index = variable_node(late.target);
      }
    }
  }

  struct Row {
    std::int32_t loop_body, load, variable;
  };

  /// The load of the first phase that reads the same elements in the same order.
  std::optional<Row> same_row(const Statement& late, const Instruction& load) {
    for (const Statement& early : block(first_.body)) {
      if (trips(early) != trips(late)) continue;
      for (const Statement& inner : block(early.body)) {
        if (inner.kind != Statement::Kind::compute) continue;
        const Instruction& other = instruction(inner.value);
        if (other.kind == Instruction::Kind::load && other.mask < 0 && other.dtype == load.dtype &&
            place(other.target) == place(load.target) &&
            same_index(other.index, load.index, early.target, late.target)) {
          return Row{early.body, inner.value, early.target};
        }
      }
    }
    return std::nullopt;
  }

  void keep(const Row& row, std::int32_t array) {
    Statement store;
    store.kind = Statement::Kind::store_array;
    store.target = array;
    store.index = variable_node(row.variable);
    store.value = row.load;
    std::vector<Statement>& body = block(row.loop_body);
    const auto at = std::ranges::find_if(
        body, [&](const Statement& s) { return s.kind == Statement::Kind::compute && s.value == row.load; });
    body.insert(at + 1, store);
  }

  Kernel& k_;
  const Phase& first_;
  const Phase& second_;
  std::span<const BufferPlace> places_;
  std::map<std::int32_t, std::int32_t> known_;  // loads of the second phase, and what they give
  std::set<std::int32_t> overwritten_;          // blocks whose elements only the second phase need store
};

}  // namespace

bool fuse_phases(Kernel& kernel, std::size_t second, std::span<const BufferPlace> places) {
  if (second == 0 || !PhaseFuser(kernel, second, places).fuse()) return false;
  kernel.phases.erase(kernel.phases.begin() + static_cast<std::ptrdiff_t>(second));
  return true;
}

}  // namespace croton
