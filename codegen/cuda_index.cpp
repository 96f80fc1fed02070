#include "croton/codegen/cuda_index.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "croton/codegen/cuda_scalar.h"

namespace croton {

namespace {

constexpr std::int64_t largest_narrow = std::numeric_limits<std::int32_t>::max();

bool is_narrow(const IndexNode& node) { return node.low >= -largest_narrow && node.high <= largest_narrow; }

bool is_constant(const IndexNode& node) { return node.op == IndexOp::affine && node.terms.empty(); }

}  // namespace

bool CudaIndex::varies(const CudaLanes& lanes, std::int32_t id) const {
  if (lanes.variable < 0) return false;
  const IndexNode& n = node(id);
  const auto instruction_varies = [&](std::int32_t i) { return lanes.varies[static_cast<std::size_t>(i)]; };
  switch (n.op) {
    case IndexOp::affine:
      return std::ranges::any_of(n.terms, [&](const auto& term) { return varies(lanes, term.first); });
    case IndexOp::variable:
      return n.operands[0] == lanes.variable;
    case IndexOp::value:
      return instruction_varies(n.operands[0]);
    case IndexOp::worker:
      return false;
    case IndexOp::select:
      return instruction_varies(n.operands[0]) || varies(lanes, n.operands[1]) ||
             varies(lanes, n.operands[2]);
    default:
      return varies(lanes, n.operands[0]) || varies(lanes, n.operands[1]);
  }
}

std::optional<std::int64_t> CudaIndex::stride(const CudaLanes& lanes, std::int32_t id) const {
  if (!varies(lanes, id)) return 0;
  const IndexNode& n = node(id);
  switch (n.op) {
    case IndexOp::affine: {
      std::int64_t sum = 0;
      for (const auto& [atom, coefficient] : n.terms) {
        const std::optional<std::int64_t> part = stride(lanes, atom);
        if (!part) return std::nullopt;
        sum += coefficient * *part;
      }
      return sum;
    }
    case IndexOp::variable:
      return 1;
    case IndexOp::mul:
    case IndexOp::min:
    case IndexOp::max:
      if (stride(lanes, n.operands[0]) == 0 && stride(lanes, n.operands[1]) == 0) return 0;
      return std::nullopt;
    case IndexOp::floor_div:
    case IndexOp::mod: {
      // A pack that begins at a multiple of its size does not cross a multiple of a divisor that the size
      // divides.
      const IndexNode& divisor = node(n.operands[1]);
      if (!is_constant(divisor)) return std::nullopt;
      const std::optional<std::int64_t> of_dividend = stride(lanes, n.operands[0]);
      if (of_dividend == 0) return 0;
      if (of_dividend != 1 || divisor.constant % lanes.count != 0) return std::nullopt;
      if (multiple(lanes, n.operands[0]) % lanes.count != 0) return std::nullopt;
      return n.op == IndexOp::mod ? 1 : 0;
    }
    default:
      return std::nullopt;
  }
}

std::int64_t CudaIndex::multiple(const CudaLanes& lanes, std::int32_t id) const {
  const IndexNode& n = node(id);
  switch (n.op) {
    case IndexOp::affine: {
      std::int64_t divisor = std::abs(n.constant);
      for (const auto& [atom, coefficient] : n.terms) {
        const std::int64_t part = multiple(lanes, atom);
        divisor = std::gcd(divisor, part == 0 ? 0 : std::abs(coefficient) * std::min<std::int64_t>(part, 64));
      }
      return divisor;
    }
    case IndexOp::variable:
      return n.operands[0] == lanes.variable ? lanes.count : 1;
    case IndexOp::mod:
    case IndexOp::min:
    case IndexOp::max:
      return std::gcd(multiple(lanes, n.operands[0]), multiple(lanes, n.operands[1]));
    case IndexOp::select:
      return std::gcd(multiple(lanes, n.operands[1]), multiple(lanes, n.operands[2]));
    case IndexOp::floor_div: {
      const std::int64_t part = multiple(lanes, n.operands[0]);
      const IndexNode& divisor = node(n.operands[1]);
      if (!is_constant(divisor) || part % divisor.constant != 0) return 1;
      return part / divisor.constant;
    }
    case IndexOp::mul: {
      const std::int64_t a = multiple(lanes, n.operands[0]), b = multiple(lanes, n.operands[1]);
      return std::min<std::int64_t>(a, 64) * std::min<std::int64_t>(b, 64);
    }
    default:
      return 1;
  }
}

bool CudaIndex::is_wide(std::int32_t id) const {
  const IndexNode& n = node(id);
  if (!is_narrow(n)) return true;
  switch (n.op) {
    case IndexOp::affine: {
      // Sums in any order must fit.
      double largest = std::abs(static_cast<double>(n.constant));
      for (const auto& [atom, coefficient] : n.terms) {
        const IndexNode& a = node(atom);
        largest += std::abs(static_cast<double>(coefficient)) *
                   std::max(std::abs(static_cast<double>(a.low)), std::abs(static_cast<double>(a.high)));
      }
      return largest > static_cast<double>(largest_narrow);
    }
    case IndexOp::variable:
    case IndexOp::value:
    case IndexOp::worker:
      return false;
    case IndexOp::select:
      return is_wide(n.operands[1]) || is_wide(n.operands[2]);
    default:
      return is_wide(n.operands[0]) || is_wide(n.operands[1]);
  }
}

std::string CudaIndex::variable(const CudaLanes& lanes, std::int32_t number, int lane) const {
  if (number != lanes.variable || lanes.packs == 1) return fmt::format("j{}", number);
  return fmt::format("j{}_{}", number, lane / lanes.count);
}

std::string CudaIndex::value(const CudaLanes& lanes, std::int32_t id, int lane) const {
  const Instruction& i = k_.instructions[static_cast<std::size_t>(id)];
  if (i.kind == Instruction::Kind::constant) return cuda_constant(i);
  if (lanes.total() > 1 && lanes.varies[static_cast<std::size_t>(id)]) return fmt::format("v{}_{}", id, lane);
  return fmt::format("v{}", id);
}

std::string CudaIndex::text(const CudaLanes& lanes, std::int32_t id, int lane) const {
  return render(lanes, id, lane, is_wide(id));
}

std::string CudaIndex::affine(const CudaLanes& lanes, const IndexNode& n, int lane, bool wide) const {
  const int offset = lane % lanes.count;
  std::int64_t constant = n.constant;
  std::string text;
  for (const auto& [atom, coefficient] : n.terms) {
    const std::optional<std::int64_t> step = offset == 0 ? std::nullopt : stride(lanes, atom);
    if (step) constant += coefficient * *step * offset;
    const std::string term = render(lanes, atom, step ? lane - offset : lane, wide);
    const std::int64_t factor = std::abs(coefficient);
    if (text.empty()) {
      text = coefficient < 0 ? "-" : "";
    } else {
      text += coefficient < 0 ? " - " : " + ";
    }
    text += factor == 1 ? term : fmt::format("{} * {}{}", term, factor, wide ? "ll" : "");
  }
  if (text.empty()) return fmt::format("{}{}", constant, wide ? "ll" : "");
  if (constant != 0)
    text += fmt::format(" {} {}{}", constant < 0 ? '-' : '+', std::abs(constant), wide ? "ll" : "");
  return "(" + text + ")";
}

std::string CudaIndex::division(const CudaLanes& lanes, const IndexNode& n, int lane, bool wide) const {
  const IndexNode& dividend = node(n.operands[0]);
  const std::string a = render(lanes, n.operands[0], lane, wide),
                    b = render(lanes, n.operands[1], lane, wide);
  const char operation = n.op == IndexOp::floor_div ? '/' : '%';
  // Unsigned division by a constant is a multiplication.
  if (dividend.low >= 0)
    return fmt::format("({0})(({1}){2} {3} ({1}){4})", wide ? "i64" : "i32", wide ? "u64" : "u32", a,
                       operation, b);
  return fmt::format("floor_{}({}, {})", n.op == IndexOp::floor_div ? "div" : "mod", a, b);
}

std::string CudaIndex::render(const CudaLanes& lanes, std::int32_t id, int lane, bool wide) const {
  const IndexNode& n = node(id);
  if (const int offset = lane % lanes.count; offset != 0 && n.op != IndexOp::affine) {
    // Lanes that grow evenly are told apart by a constant.
    if (const std::optional<std::int64_t> step = stride(lanes, id)) {
      const std::string first = render(lanes, id, lane - offset, wide);
      return *step == 0 ? first : fmt::format("({} + {})", first, *step * offset);
    }
  }
  const bool inner_wide = wide || is_wide(id);
  const auto sized = [&](const std::string& text) {
    return inner_wide == wide ? text : fmt::format("({}){}", wide ? "i64" : "i32", text);
  };
  switch (n.op) {
    case IndexOp::affine:
      return sized(affine(lanes, n, lane, inner_wide));
    case IndexOp::variable:
      return fmt::format("{}{}", wide ? "(i64)" : "", variable(lanes, n.operands[0], lane));
    case IndexOp::value:
      return fmt::format("({}){}", wide ? "i64" : "i32", value(lanes, n.operands[0], lane));
    case IndexOp::worker:
      return wide ? "0ll" : "0";  // kernels that ask run as one group after the other
    case IndexOp::mul:
      return sized(fmt::format("({} * {})", render(lanes, n.operands[0], lane, inner_wide),
                               render(lanes, n.operands[1], lane, inner_wide)));
    case IndexOp::floor_div:
    case IndexOp::mod:
      return sized(division(lanes, n, lane, inner_wide));
    case IndexOp::min:
    case IndexOp::max:
      return sized(fmt::format("{}({}, {})", n.op == IndexOp::min ? "smaller" : "larger",
                               render(lanes, n.operands[0], lane, inner_wide),
                               render(lanes, n.operands[1], lane, inner_wide)));
    case IndexOp::select:
      return sized(fmt::format("({} ? {} : {})", value(lanes, n.operands[0], lane),
                               render(lanes, n.operands[1], lane, inner_wide),
                               render(lanes, n.operands[2], lane, inner_wide)));
  }
  return {};
}

}  // namespace croton
