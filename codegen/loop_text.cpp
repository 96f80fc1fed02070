#include <fmt/format.h>

#include <cmath>
#include <iterator>

#include "croton/codegen/loop_ir.h"

namespace croton {

namespace {

class Printer {
 public:
  Printer(const Kernel& kernel, bool is_canonical) : k_(kernel), is_canonical_(is_canonical) {}

  std::string run() {
    add("kernel {}(", is_canonical_ ? "k" : k_.name);
    for (std::size_t i = 0; i < k_.buffers.size(); ++i) {
      const BufferInfo& buffer = k_.buffers[i];
      const std::string count = buffer.count < 0 ? "?" : fmt::to_string(buffer.count);
      static constexpr const char* roles[] = {"in", "out", "inout", "scratch"};
      add("{}{}: {}[{}] {}{}", i == 0 ? "" : ", ", buffer_name(static_cast<std::int32_t>(i)),
          name_of(buffer.dtype), count, roles[static_cast<int>(buffer.role)],
          buffer.may_alias ? " may_alias" : "");
    }
    text_ += ") {\n";
    indent_ = 1;
    for (std::size_t i = 0; i < k_.arrays.size(); ++i) {
      line();
      add("array {}: {}[{}]\n", array_name(static_cast<std::int32_t>(i)), name_of(k_.arrays[i].dtype),
          k_.arrays[i].count);
    }
    for (const Phase& phase : k_.phases) {
      line();
      if (!phase.is_parallel) {
        text_ += "once {\n";
      } else {
        add("parallel {} in 0..{}{}", variable(phase.variable), phase.extent, mark(phase.mark));
        if (phase.grain > 0) add(" grain {}", phase.grain);
        text_ += " {\n";
      }
      block(phase.body);
      line();
      text_ += "}\n";
    }
    text_ += "}\n";
    return std::move(text_);
  }

 private:
  template <class... T>
  void add(fmt::format_string<T...> format, T&&... arguments) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<T>(arguments)...);
  }
  void line() { text_.append(static_cast<std::size_t>(2 * indent_), ' '); }

  std::string named(const std::string& name, char letter, std::int32_t id) const {
    return is_canonical_ ? fmt::format("{}{}", letter, id) : name;
  }
  std::string buffer_name(std::int32_t id) const {
    return named(k_.buffers[static_cast<std::size_t>(id)].name, 'b', id);
  }
  std::string array_name(std::int32_t id) const {
    return named(k_.arrays[static_cast<std::size_t>(id)].name, 'a', id);
  }
  std::string local_name(std::int32_t id) const {
    return named(k_.locals[static_cast<std::size_t>(id)].name, 'l', id);
  }
  std::string variable(std::int32_t id) const {
    return named(k_.variables[static_cast<std::size_t>(id)], 'i', id);
  }

  static std::string mark(LoopMark mark) {
    if (mark.kind == LoopKind::serial) return "";
    if (mark.kind == LoopKind::unroll) return " unroll";
    return mark.vectors == 0 ? " vectorize" : fmt::format(" vectorize({})", mark.vectors);
  }

  /// An operand: a constant by its value, anything else by its number. Numbers count the computed values in
  /// order of printing.
  std::string value(std::int32_t id) {
    const Instruction& instruction = k_.instructions[static_cast<std::size_t>(id)];
    if (instruction.kind != Instruction::Kind::constant) return fmt::format("%{}", number(id));
    const bool is_float = is_floating(instruction.dtype);
    if (instruction.dtype == DType::bool_) return instruction.integer != 0 ? "true" : "false";
    std::string text;
    if (is_float) {
      text = instruction.dtype == DType::float32 ? fmt::format("{}", static_cast<float>(instruction.number))
                                                 : fmt::format("{}", instruction.number);
    } else if (instruction.dtype == DType::uint64) {
      text = fmt::format("{}", static_cast<std::uint64_t>(instruction.integer));
    } else {
      text = fmt::format("{}", instruction.integer);
    }
    return fmt::format("{}:{}", text, short_name(instruction.dtype));
  }

  static std::string short_name(DType dtype) {
    static constexpr const char* names[] = {"b",   "i8",  "i16", "i32",  "i64", "u8", "u16",
                                            "u32", "u64", "f16", "bf16", "f32", "f64"};
    return names[static_cast<int>(dtype)];
  }

  std::int32_t number(std::int32_t id) {
    if (numbers_.empty()) numbers_.assign(k_.instructions.size(), -1);
    std::int32_t& number = numbers_[static_cast<std::size_t>(id)];
    if (number < 0) number = next_++;
    return number;
  }

  std::string index(std::int32_t id, bool is_operand = false) {
    const IndexNode& node = k_.indices[static_cast<std::size_t>(id)];
    switch (node.op) {
      case IndexOp::variable:
        return variable(node.operands[0]);
      case IndexOp::value:
        return value(node.operands[0]);
      case IndexOp::worker:
        return "worker";
      case IndexOp::mul:
        return fmt::format("{}*{}", index(node.operands[0], true), index(node.operands[1], true));
      case IndexOp::floor_div:
        return fmt::format("{}/{}", index(node.operands[0], true), index(node.operands[1], true));
      case IndexOp::mod:
        return fmt::format("({}%{})", index(node.operands[0], true), index(node.operands[1], true));
      case IndexOp::min:
        return fmt::format("min({}, {})", index(node.operands[0]), index(node.operands[1]));
      case IndexOp::max:
        return fmt::format("max({}, {})", index(node.operands[0]), index(node.operands[1]));
      case IndexOp::select:
        return fmt::format("select({}, {}, {})", value(node.operands[0]), index(node.operands[1]),
                           index(node.operands[2]));
      case IndexOp::affine:
        break;
    }
    if (node.terms.empty()) return fmt::to_string(node.constant);
    std::string text;
    for (const auto& [atom, coefficient] : node.terms) {
      const std::int64_t magnitude = coefficient < 0 && !text.empty() ? -coefficient : coefficient;
      if (!text.empty()) text += coefficient < 0 ? " - " : " + ";
      if (magnitude == -1) text += '-';
      if (magnitude != 1 && magnitude != -1) text += fmt::format("{}*", magnitude);
      text += index(atom, true);
    }
    if (node.constant != 0) {
      text += node.constant < 0 ? fmt::format(" - {}", -node.constant) : fmt::format(" + {}", node.constant);
    }
    return is_operand ? '(' + text + ')' : text;
  }

  std::string instruction(const Instruction& i) {
    switch (i.kind) {
      case Instruction::Kind::constant:
        break;
      case Instruction::Kind::op: {
        std::string text(name_of(i.op));
        for (int o = 0; o < arity_of(i.op); ++o) text += (o == 0 ? " " : ", ") + value(i.operands[o]);
        return text;
      }
      case Instruction::Kind::cast:
        return fmt::format("cast {} to {}", value(i.operands[0]), name_of(i.rounded));
      case Instruction::Kind::load:
        if (i.mask < 0) return fmt::format("load {}[{}]", buffer_name(i.target), index(i.index));
        return fmt::format("load {}[{}] if {} else {}", buffer_name(i.target), index(i.index), value(i.mask),
                           value(i.operands[0]));
      case Instruction::Kind::load_array:
        return fmt::format("load {}[{}]", array_name(i.target), index(i.index));
      case Instruction::Kind::get:
        return local_name(i.target);
      case Instruction::Kind::index:
        return fmt::format("index {}", index(i.index));
      case Instruction::Kind::compare_index:
        return fmt::format("{} {}, {}", name_of(i.op), index(i.operands[0]), index(i.operands[1]));
    }
    return {};
  }

  void statement(const Statement& s) {
    switch (s.kind) {
      case Statement::Kind::compute: {
        const Instruction& computed = k_.instructions[static_cast<std::size_t>(s.value)];
        const std::string right = instruction(computed);
        add("%{} = {}\n", number(s.value), right);
        return;
      }
      case Statement::Kind::declare:
        add("local {}: {} = {}\n", local_name(s.target),
            name_of(k_.locals[static_cast<std::size_t>(s.target)].dtype), value(s.value));
        return;
      case Statement::Kind::set:
        add("{} = {}\n", local_name(s.target), value(s.value));
        return;
      case Statement::Kind::reduce:
        add("{} {}= {}\n", local_name(s.target), name_of(s.op), value(s.value));
        return;
      case Statement::Kind::reduce_arg:
        add("{}, {} arg{}= {}, {}\n", local_name(s.target), local_name(s.second), name_of(s.op),
            value(s.value), value(s.index_value));
        return;
      case Statement::Kind::store:
        add("store {}[{}], {}", buffer_name(s.target), index(s.index), value(s.value));
        if (s.mask >= 0) add(" if {}", value(s.mask));
        text_ += '\n';
        return;
      case Statement::Kind::store_array:
        add("store {}[{}], {}\n", array_name(s.target), index(s.index), value(s.value));
        return;
      case Statement::Kind::prefetch:
        add("prefetch {}[{}]\n", buffer_name(s.target), index(s.index));
        return;
      case Statement::Kind::transpose:
        add("transpose {}[{}] stride {}, {}[{}] stride {}, {}x{}\n", buffer_name(s.target), index(s.index),
            s.strides[0], buffer_name(s.second), index(s.second_index), s.strides[1], s.tile[0], s.tile[1]);
        return;
      case Statement::Kind::loop:
        add("for {} in {}..{}", variable(s.target), index(s.begin), index(s.end));
        if (s.step != 1) add(" step {}", s.step);
        add("{} {{\n", mark(s.mark));
        block(s.body);
        line();
        text_ += "}\n";
        return;
      case Statement::Kind::branch:
        add("if {} {{\n", value(s.value));
        block(s.body);
        line();
        if (s.other >= 0) {
          text_ += "} else {\n";
          block(s.other);
          line();
        }
        text_ += "}\n";
        return;
    }
  }

  void block(std::int32_t id) {
    ++indent_;
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) {
      line();
      statement(s);
    }
    --indent_;
  }

  const Kernel& k_;
  bool is_canonical_;
  std::string text_;
  int indent_ = 0;
  std::int32_t next_ = 0;
  std::vector<std::int32_t> numbers_;
};

constexpr std::string_view op_names[] = {
    "neg",   "abs",         "sqrt",  "floor",   "ceil",   "trunc",   "rint",       "bit_not",     "sign",
    "exp",   "exp2",        "expm1", "log",     "log2",   "log10",   "log1p",      "sin",         "cos",
    "tan",   "asin",        "acos",  "atan",    "sinh",   "cosh",    "tanh",       "asinh",       "acosh",
    "atanh", "erf",         "erfc",  "lgamma",  "tgamma", "digamma", "sigmoid",    "softplus",    "isnan",
    "isinf", "logical_not", "add",   "sub",     "mul",    "div",     "floor_div",  "floor_mod",   "min",
    "max",   "pow",         "atan2", "bit_and", "bit_or", "bit_xor", "shift_left", "shift_right", "lt",
    "le",    "gt",          "ge",    "eq",      "ne",     "select",  "fma"};
static_assert(std::size(op_names) == static_cast<std::size_t>(ScalarOp::fma) + 1);

}  // namespace

std::string to_text(const Kernel& kernel) { return Printer(kernel, false).run(); }
std::string canonical_text(const Kernel& kernel) { return Printer(kernel, true).run(); }

std::string_view name_of(ScalarOp op) { return op_names[static_cast<std::size_t>(op)]; }

int arity_of(ScalarOp op) {
  if (op <= ScalarOp::logical_not) return 1;
  return op < ScalarOp::select ? 2 : 3;
}

bool is_predicate(ScalarOp op) {
  return (op >= ScalarOp::isnan && op <= ScalarOp::logical_not) || (op >= ScalarOp::lt && op <= ScalarOp::ne);
}

}  // namespace croton
