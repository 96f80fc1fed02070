// Follows docs/add_a_backend.md: every line of C++ on that page stands here.
#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <cmath>
#include <fstream>
#include <map>
#include <optional>

#include "croton/codegen/loop_ir.h"
#include "gpu_cases.h"
#include "host_code.h"
#include "page_code.h"
#include "places.h"

namespace croton {
namespace {

/// What C calls the elements of a dtype; null for those that this backend does not take.
const char* c_type(DType dtype) {
  switch (dtype) {
    case DType::float32:
      return "float";
    case DType::float64:
      return "double";
    case DType::int64:
      return "long";
    case DType::bool_:
      return "bool";
    default:
      return nullptr;
  }
}

/// The operations that this backend has.
const std::map<ScalarOp, const char*> c_operations = {
    {ScalarOp::neg, "-{0}"},
    {ScalarOp::abs, "std::abs({0})"},
    {ScalarOp::sqrt, "std::sqrt({0})"},
    {ScalarOp::exp, "std::exp({0})"},
    {ScalarOp::log, "std::log({0})"},
    {ScalarOp::tanh, "std::tanh({0})"},
    {ScalarOp::add, "{0} + {1}"},
    {ScalarOp::sub, "{0} - {1}"},
    {ScalarOp::mul, "{0} * {1}"},
    {ScalarOp::div, "{0} / {1}"},
    {ScalarOp::min, "{0} < {1} || {0} != {0} ? {0} : {1}"},
    {ScalarOp::max, "{0} > {1} || {0} != {0} ? {0} : {1}"},
    {ScalarOp::isnan, "{0} != {0}"},
    {ScalarOp::logical_not, "!{0}"},
    {ScalarOp::bit_and, "{0} & {1}"},
    {ScalarOp::bit_or, "{0} | {1}"},
    {ScalarOp::lt, "{0} < {1}"},
    {ScalarOp::le, "{0} <= {1}"},
    {ScalarOp::gt, "{0} > {1}"},
    {ScalarOp::ge, "{0} >= {1}"},
    {ScalarOp::eq, "{0} == {1}"},
    {ScalarOp::ne, "{0} != {1}"},
    {ScalarOp::select, "{0} ? {1} : {2}"},
    {ScalarOp::fma, "{0} * {1} + {2}"},
};

constexpr const char* c_prelude = R"(
#include <algorithm>
#include <cmath>
#include <cstdlib>
static long floor_div(long a, long b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }
static long floor_mod(long a, long b) { return a - floor_div(a, b) * b; }
)";

class CEmitter {
 public:
  explicit CEmitter(const Kernel& kernel) : k_(kernel), is_whole_(kernel.contraction == nullptr) {}

  /// A function of the kernel's buffers; nothing where the kernel has what is not written here.
  std::optional<std::string> emit(const std::string& name) {
    line("extern \"C\" void {}(void* const* buffers) {{", name);
    for (std::size_t i = 0; i < k_.buffers.size(); ++i)
      line("{0}* const b{1} = ({0}*)buffers[{1}];", type(k_.buffers[i].dtype), i);
    for (const Phase& phase : k_.phases) {
      line("for (long i{0} = 0; i{0} < {1}; ++i{0}) {{", phase.variable, phase.extent);
      for (std::size_t i = 0; i < k_.arrays.size(); ++i)
        line("{} a{}[{}];", type(k_.arrays[i].dtype), i, k_.arrays[i].count);
      block(phase.body);
      line("}}");
    }
    line("}}");
    return is_whole_ ? std::optional(text_) : std::nullopt;
  }

 private:
  template <class... T>
  void line(fmt::format_string<T...> format, T&&... arguments) {
    text_ += fmt::format(format, std::forward<T>(arguments)...) + "\n";
  }
  const char* missing() {
    is_whole_ = false;
    return "0";
  }
  const char* type(DType dtype) {
    const char* const name = c_type(dtype);
    return name != nullptr ? name : missing();
  }
  const Instruction& instruction(std::int32_t id) const {
    return k_.instructions[static_cast<std::size_t>(id)];
  }

  std::string index(std::int32_t id) {
    const IndexNode& n = k_.indices[static_cast<std::size_t>(id)];
    const auto operand = [&](int i) { return index(n.operands[i]); };
    switch (n.op) {
      case IndexOp::affine: {
        std::string sum = std::to_string(n.constant);
        for (const auto& [atom, coefficient] : n.terms)
          sum += fmt::format(" + {} * {}", coefficient, index(atom));
        return "(" + sum + ")";
      }
      case IndexOp::variable:
        return fmt::format("i{}", n.operands[0]);
      case IndexOp::value:
        return value(n.operands[0]);
      case IndexOp::worker:
        return "0";
      case IndexOp::mul:
        return fmt::format("({} * {})", operand(0), operand(1));
      case IndexOp::floor_div:
        return fmt::format("floor_div({}, {})", operand(0), operand(1));
      case IndexOp::mod:
        return fmt::format("floor_mod({}, {})", operand(0), operand(1));
      case IndexOp::min:
        return fmt::format("std::min<long>({}, {})", operand(0), operand(1));
      case IndexOp::max:
        return fmt::format("std::max<long>({}, {})", operand(0), operand(1));
      case IndexOp::select:
        return fmt::format("({} ? {} : {})", value(n.operands[0]), operand(1), operand(2));
    }
    return {};
  }

  /// Constants stand in no block: they are written where they are used.
  std::string value(std::int32_t id) {
    if (id < 0) return {};
    const Instruction& i = instruction(id);
    if (i.kind != Instruction::Kind::constant) return fmt::format("v{}", id);
    if (!is_floating(i.dtype)) return fmt::format("({})({}L)", type(i.dtype), i.integer);
    if (std::isnan(i.number)) return "NAN";
    if (std::isinf(i.number)) return i.number < 0 ? "(-INFINITY)" : "INFINITY";
    return fmt::format("({})({:a})", type(i.dtype), i.number);
  }

  std::string operation(ScalarOp op, const std::string& x, const std::string& y, const std::string& z = {}) {
    const auto known = c_operations.find(op);
    return known == c_operations.end() ? missing() : fmt::format(fmt::runtime(known->second), x, y, z);
  }

  std::string expression(const Instruction& i) {
    switch (i.kind) {
      case Instruction::Kind::constant:
        break;
      case Instruction::Kind::op:
        return operation(i.op, value(i.operands[0]), value(i.operands[1]), value(i.operands[2]));
      case Instruction::Kind::cast: {
        // From a floating number C has no saturation; float16 and bfloat16 would have to be rounded to.
        const bool is_plain = !is_floating(instruction(i.operands[0]).dtype) || is_floating(i.dtype);
        if (!is_plain || i.rounded != i.dtype) return missing();
        return fmt::format("({}){}", type(i.dtype), value(i.operands[0]));
      }
      case Instruction::Kind::load: {
        const std::string element = fmt::format("b{}[{}]", i.target, index(i.index));
        if (i.mask < 0) return element;
        return fmt::format("{} ? {} : {}", value(i.mask), element, value(i.operands[0]));
      }
      case Instruction::Kind::load_array:
        return fmt::format("a{}[{}]", i.target, index(i.index));
      case Instruction::Kind::get:
        return fmt::format("l{}", i.target);
      case Instruction::Kind::index:
        return index(i.index);
      case Instruction::Kind::compare_index:
        return operation(i.op, index(i.operands[0]), index(i.operands[1]));
    }
    return missing();
  }

  void block(std::int32_t id) {
    if (id < 0) return;
    for (const Statement& s : k_.blocks[static_cast<std::size_t>(id)].statements) statement(s);
  }

  void statement(const Statement& s) {
    switch (s.kind) {
      case Statement::Kind::compute:
        line("const {} v{} = {};", type(instruction(s.value).dtype), s.value,
             expression(instruction(s.value)));
        return;
      case Statement::Kind::declare:
        line("{} l{} = {};", type(k_.locals[static_cast<std::size_t>(s.target)].dtype), s.target,
             value(s.value));
        return;
      case Statement::Kind::set:
        line("l{} = {};", s.target, value(s.value));
        return;
      case Statement::Kind::reduce: {
        const std::string local = fmt::format("l{}", s.target);
        line("{} = {};", local, operation(s.op, local, value(s.value)));
        return;
      }
      case Statement::Kind::store:
        if (s.mask >= 0) line("if ({})", value(s.mask));
        line("b{}[{}] = {};", s.target, index(s.index), value(s.value));
        return;
      case Statement::Kind::store_array:
        line("a{}[{}] = {};", s.target, index(s.index), value(s.value));
        return;
      case Statement::Kind::loop:
        line("for (long i{0} = {1}; i{0} < {2}; i{0} += {3}) {{", s.target, index(s.begin), index(s.end),
             s.step);
        block(s.body);
        line("}}");
        return;
      case Statement::Kind::branch:
        line("if ({}) {{", value(s.value));
        block(s.body);
        line("}} else {{");
        block(s.other);
        line("}}");
        return;
      case Statement::Kind::prefetch:
        return;  // a hint
      case Statement::Kind::transpose:
      case Statement::Kind::reduce_arg:
        missing();
    }
  }

  const Kernel& k_;
  std::string text_;
  bool is_whole_;
};

/// A case whose kernels are all written, and their functions.
struct WrittenCase {
  test::GpuCase with;
  test::GpuRun run;
  std::vector<std::string> functions;
};

/// Appends the code of all kernels; nothing where the backend does not have one of them.
std::optional<WrittenCase> write_case(const test::GpuCase& with, std::size_t number, std::string& text) {
  WrittenCase written{with, test::GpuRun(with, 4), {}};
  std::string code;
  for (const LoweredKernel& lowered : written.run.code.kernels) {
    written.functions.push_back(fmt::format("run_{}_{}", number, written.functions.size()));
    const std::optional<std::string> kernel = CEmitter(lowered.kernel).emit(written.functions.back());
    if (!kernel) return std::nullopt;
    code += *kernel;
  }
  text += code;
  return written;
}

}  // namespace

TEST_CASE("the backend of the page computes what the reference does", "[codegen][docs]") {
  if (!test::has_host_compiler()) return;
  std::string text = c_prelude;
  std::vector<WrittenCase> written;
  std::size_t number = 0;
  for (const test::GpuCase& with : test::gpu_cases()) {
    if (auto one = write_case(with, number++, text)) written.push_back(std::move(*one));
  }
  CHECK(written.size() > number / 2);
  const test::HostCode code(text);
  for (WrittenCase& one : written) {
    for (std::size_t i = 0; i < one.functions.size(); ++i) {
      const auto function = reinterpret_cast<void (*)(void* const*)>(code.function(one.functions[i]));
      REQUIRE(function != nullptr);
      function(one.run.buffers(one.run.code.kernels[i]).data());
    }
    one.run.check(one.with);
  }
}

TEST_CASE("the page about adding a backend says what this file does", "[docs]") {
  test::check_code_of_page("docs/add_a_backend.md", "tests/add_a_backend_test.cpp", 60);
}

TEST_CASE("the files that the page about adding a backend names are there", "[docs][cpu]") {
  std::ifstream page(test::source_file("docs/add_a_backend.md"));
  std::size_t found = 0;
  for (std::string line; std::getline(page, line);) {
    for (std::size_t at = 0; (at = line.find('`', at)) != std::string::npos;) {
      const std::size_t end = line.find('`', at + 1);
      if (end == std::string::npos) break;
      const std::string name = line.substr(at + 1, end - at - 1);
      at = end + 1;
      const bool is_file = name.find('/') != std::string::npos && name.find('*') == std::string::npos &&
                           (name.ends_with(".h") || name.ends_with(".cpp"));
      if (!is_file) continue;
      INFO(name);
      CHECK(std::ifstream(test::source_file(name)).good());
      ++found;
    }
  }
  CHECK(found > 10);
}

}  // namespace croton
