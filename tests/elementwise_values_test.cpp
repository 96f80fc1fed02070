#include <catch2/catch.hpp>
#include <fstream>
#include <random>
#include <set>
#include <sstream>

#include "croton/graph/node.h"
#include "croton/graph/tensor_cast.h"
#include "croton/ops/creation.h"
#include "croton/ops/elementwise.h"
#include "croton/ops/elementwise_functions.h"
#include "croton/ops/evaluate.h"
#include "places.h"
#include "tensor_values.h"

using namespace croton;
using namespace croton::test;

namespace {

template <class T>
T parse_as(const std::string& text) {
  if constexpr (std::is_same_v<T, bool>) return text != "0";
  if constexpr (is_unsigned_integer(dtype_of<T>)) return static_cast<T>(std::stoull(text));
  if constexpr (is_floating(dtype_of<T>)) return convert_element<T>(std::stod(text));
  return static_cast<T>(std::stoll(text));
}

Tensor parse_tensor(const std::string& text, DType dtype) {
  std::istringstream words(text);
  std::vector<std::string> values;
  for (std::string word; words >> word;)
    values.push_back(word == "inf" ? "INF" : word == "-inf" ? "-INF" : word);
  const Tensor tensor = Tensor::empty({static_cast<std::int64_t>(values.size())}, dtype);
  visit_dtype(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    for (std::size_t i = 0; i < values.size(); ++i) tensor.data<T>()[i] = parse_as<T>(values[i]);
  });
  return tensor;
}

std::vector<std::string> split(const std::string& text, const std::string& separator) {
  std::vector<std::string> parts;
  std::size_t from = 0, at;
  while ((at = text.find(separator, from)) != std::string::npos) {
    parts.push_back(text.substr(from, at - from));
    from = at + separator.size();
  }
  parts.push_back(text.substr(from));
  return parts;
}

Tensor run(const ElementwiseOp& op, const std::vector<Tensor>& operands) {
  std::vector<Operand> inputs;
  std::unordered_map<Variable, Tensor> values;
  for (const Tensor& operand : operands) {
    inputs.push_back(tensor(operand.dtype(), operand.shape()));
    values.emplace(inputs.back().variable(), operand);
  }
  return evaluate(apply_elementwise(op, inputs), values);
}

/// Arithmetic and the like is exact; libm and NumPy may differ in the last digits of float64, in the half
/// digit that is rounded away of the others.
double allowed_ulps(const ElementwiseRow& row, DType dtype) {
  if (!row.has(costly) || !is_floating(dtype)) return 0;
  return dtype == DType::float64 ? 8 : 1;
}

}  // namespace

TEST_CASE("Every row gives NumPy's values on every dtype", "[ops][elementwise]") {
  std::ifstream file(test::source_file("tests/numpy/elementwise.txt"));
  std::set<std::string> seen;
  for (std::string text; std::getline(file, text);) {
    std::istringstream line(text);
    std::string name, in, out, rest;
    line >> name >> in >> out;
    std::getline(line, rest);
    INFO(text);
    const ElementwiseOp* op = find_elementwise(name);
    REQUIRE(op != nullptr);
    seen.insert(name);
    const std::vector<std::string> fields = split(rest, " | ");
    std::vector<Tensor> operands;
    for (std::size_t i = 0; i + 1 < fields.size(); ++i) {
      operands.push_back(
          parse_tensor(fields[i], name == "switch" && i == 0 ? DType::bool_ : *parse_dtype(in)));
    }
    const Tensor expected = parse_tensor(fields.back(), *parse_dtype(out));
    const Tensor got = run(*op, operands);
    REQUIRE(got.dtype() == expected.dtype());
    REQUIRE(got.shape() == expected.shape());
    INFO("got " << got);
    visit_dtype(got.dtype(), [&](auto tag) {
      using T = typename decltype(tag)::type;
      const auto a = got.to_vector<T>(), b = expected.to_vector<T>();
      for (std::size_t i = 0; i < a.size(); ++i) {
        INFO("element " << i);
        if constexpr (is_floating(dtype_of<T>))
          CHECK(ulps_between(T(a[i]), T(b[i])) <= allowed_ulps(op->row(), got.dtype()));
        else
          CHECK(a[i] == b[i]);
      }
    });
  }
  for (const ElementwiseOp* op : elementwise_ops()) {
    if (op->row().reference == nullptr || op->name().find("grad") != std::string::npos) continue;
    INFO(op->name());
    CHECK(seen.contains(op->name()));
  }
}

TEST_CASE("The 16-bit types compute in float and round once", "[ops][elementwise]") {
  std::mt19937_64 generator(1);
  for (const ElementwiseOp* op : elementwise_ops()) {
    const ElementwiseRow& row = op->row();
    if (row.rule == DTypeRule::bitwise || row.rule == DTypeRule::shift || row.rule == DTypeRule::cast)
      continue;
    if (row.name.find("grad") != std::string_view::npos) continue;
    for (const DType dtype : {DType::float16, DType::bfloat16}) {
      INFO(row.name << " " << name_of(dtype));
      std::vector<Tensor> narrow, wide;
      for (int i = 0; i < row.arity; ++i) {
        const Domain domain =
            row.domain[std::min<std::size_t>(static_cast<std::size_t>(i), row.domain.size() - 1)];
        const bool condition = row.rule == DTypeRule::select && i == 0;
        narrow.push_back(
            random_tensor({50}, condition ? DType::bool_ : dtype, generator, domain.low, domain.high));
        wide.push_back(condition ? narrow.back() : narrow.back().astype(DType::float64));
      }
      const Tensor got = run(*op, narrow), expected = run(*op, wide);
      CHECK(equal_values(got, is_bool(got.dtype()) ? expected : expected.astype(dtype)));
    }
  }
}

TEST_CASE("Conversions between all dtypes", "[ops][elementwise]") {
  for (int from = 0; from < dtype_count; ++from) {
    for (int to = 0; to < dtype_count; ++to) {
      const auto a = static_cast<DType>(from), b = static_cast<DType>(to);
      if (is_complex(a) || is_complex(b)) continue;
      const Tensor x =
          Tensor{0., 1., 2.75, -3.5, 300., 1e10, -1e10, std::nan(""), HUGE_VAL, -HUGE_VAL}.astype(a);
      const Variable v = tensor(a, x.shape());
      const Tensor got = evaluate(cast(v, b), {{v, x}});
      INFO(name_of(a) << " to " << name_of(b));
      CHECK(equal_values(got, x.astype(b)));
      CHECK((v.astype(b) == v) == (a == b));
    }
  }
  const Variable x = dvector();
  const Tensor values{2.9, -2.9, 300., -1., std::nan(""), -0.};
  CHECK(equal(evaluate(cast(x, DType::uint8), {{x, values}}),
              Tensor(std::vector<std::uint8_t>{2, 0, 255, 0, 0, 0})));
  CHECK(equal(evaluate(cast(x, DType::bool_), {{x, values}}), Tensor{true, true, true, true, true, false}));
}

TEST_CASE("second broadcasts, identity copies", "[ops][elementwise]") {
  const Variable x = matrix("x"), b = vector("b");
  const Tensor values = Tensor::zeros({2, 3}), row{1.f, 2.f, 3.f};
  CHECK(equal(evaluate(second(x, b), {{x, values}, {b, row}}), Tensor{{1.f, 2.f, 3.f}, {1.f, 2.f, 3.f}}));
  CHECK(equal(evaluate(zeros_like(x + 1), {{x, values}}), values));
  CHECK(equal(evaluate(ones_like(x, DType::int16), {{x, values}}), Tensor::ones({2, 3}, DType::int16)));
  const Tensor copy = evaluate(identity(x), {{x, values}});
  CHECK(equal(copy, values));
  CHECK(copy.raw_data() != values.raw_data());
}

TEST_CASE("The traits of the rows are true", "[ops][elementwise]") {
  std::mt19937_64 generator(2);
  for (const ElementwiseOp* op : elementwise_ops()) {
    const ElementwiseRow& row = op->row();
    INFO(row.name);
    CHECK(!row.doc.empty());
    CHECK(row.lower != nullptr);
    const bool discrete = row.rule == DTypeRule::bitwise || row.rule == DTypeRule::shift;
    const DType dtype = discrete ? DType::int32 : DType::float64;
    const auto sample = [&](std::size_t i) {
      const Domain domain = row.domain[std::min(i, row.domain.size() - 1)];
      return random_tensor({40}, dtype, generator, domain.low, domain.high);
    };
    const Tensor x = sample(0);
    if (row.arity == 1 && row.rule != DTypeRule::cast) {
      const Tensor y = run(*op, {x});
      if (row.has(idempotent)) CHECK(equal_values(run(*op, {y}), y));
      if (row.has(involution)) CHECK(equal_values(run(*op, {y}), x));
      const auto minus = [&](const Tensor& t) { return run(*find_elementwise("neg"), {t}); };
      if (row.has(even_function)) CHECK(equal_values(run(*op, {minus(x)}), y));
      if (row.has(odd_function)) CHECK(equal_values(run(*op, {minus(x)}), minus(y)));
      if (row.has(increasing)) {
        const auto xs = x.to_vector<double>(), ys = y.to_vector<double>();
        for (std::size_t i = 1; i < xs.size(); ++i)
          CHECK((xs[i] < xs[i - 1] ? ys[i] <= ys[i - 1] : ys[i] >= ys[i - 1]));
      }
    } else if (row.arity == 2 && row.rule != DTypeRule::second) {
      const Tensor a = sample(0), b = sample(0), c = sample(0);
      if (row.has(commutative)) CHECK(equal_values(run(*op, {a, b}), run(*op, {b, a})));
      if (row.has(idempotent)) CHECK(equal_values(run(*op, {a, a}), a));
      if (row.has(associative)) {
        CHECK(allclose(run(*op, {run(*op, {a, b}), c}), run(*op, {a, run(*op, {b, c})}), 1e-12));
      }
      if (row.variadic) CHECK(equal_values(run(*op, {a, b, c}), run(*op, {run(*op, {a, b}), c})));
    }
  }
}
