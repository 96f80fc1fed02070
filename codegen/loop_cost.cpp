#include <algorithm>

#include "croton/codegen/loop_ir.h"

namespace croton {

namespace {

// Rough nanoseconds of one core; a factor of two either way only moves the point where a second thread joins
// in.
constexpr double simple_operation = 0.3;
constexpr double memory_access = 0.4;
constexpr double function_call = 6;
constexpr double lanes = 8;

double cost_of(const Kernel& k, const Instruction& i) {
  switch (i.kind) {
    case Instruction::Kind::op:
      return (i.op >= ScalarOp::exp && i.op <= ScalarOp::softplus) || i.op == ScalarOp::pow ||
                     i.op == ScalarOp::atan2 || i.op == ScalarOp::floor_mod
                 ? function_call
                 : simple_operation;
    case Instruction::Kind::load:
      return memory_access *
             static_cast<double>(size_of(k.buffers[static_cast<std::size_t>(i.target)].dtype)) / 4;
    case Instruction::Kind::constant:
    case Instruction::Kind::get:
      return 0;
    default:
      return simple_operation;
  }
}

double trips_of(const Kernel& k, const Statement& s) {
  const IndexNode& begin = k.indices[static_cast<std::size_t>(s.begin)];
  const IndexNode& end = k.indices[static_cast<std::size_t>(s.end)];
  // The width of a loop whose bounds move together: what differs between them is at most what the ranges say.
  const double most = static_cast<double>(end.high) - static_cast<double>(begin.low);
  const double least = static_cast<double>(end.low) - static_cast<double>(begin.high);
  const double trips = std::clamp((most + std::max(least, 0.0)) / 2, 0.0, 1e9);
  return begin.terms == end.terms && begin.op == end.op && begin.op == IndexOp::affine
             ? static_cast<double>(end.constant - begin.constant) / static_cast<double>(s.step)
             : trips / static_cast<double>(s.step);
}

double cost_of(const Kernel& k, std::int32_t block) {
  if (block < 0) return 0;
  double cost = 0;
  for (const Statement& s : k.blocks[static_cast<std::size_t>(block)].statements) {
    switch (s.kind) {
      case Statement::Kind::compute:
        cost += cost_of(k, k.instructions[static_cast<std::size_t>(s.value)]);
        break;
      case Statement::Kind::store:
        cost += memory_access *
                static_cast<double>(size_of(k.buffers[static_cast<std::size_t>(s.target)].dtype)) / 4;
        break;
      case Statement::Kind::loop: {
        const double gain = s.mark.kind == LoopKind::vectorize ? lanes : 1;
        cost += 1 + std::max(trips_of(k, s), 0.0) * cost_of(k, s.body) / gain;
        break;
      }
      case Statement::Kind::branch:
        cost += std::max(cost_of(k, s.body), cost_of(k, s.other));
        break;
      case Statement::Kind::transpose:
        cost += 0.5 * static_cast<double>(s.tile[0] + s.tile[1]) * 2;
        break;
      default:
        cost += simple_operation;
    }
  }
  return cost;
}

}  // namespace

double estimated_cost(const Kernel& kernel, const Phase& phase) {
  return std::max(cost_of(kernel, phase.body), 0.05) / (phase.mark.kind == LoopKind::vectorize ? lanes : 1);
}

}  // namespace croton
