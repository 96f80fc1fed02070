#include "rewrite_cases.h"

#include <fstream>
#include <sstream>
#include <stdexcept>

namespace croton::test {

namespace {

bool starts_with(const std::string& line, const char* word, std::string& rest) {
  const std::string prefix = std::string(word) + " ";
  if (!line.starts_with(prefix)) return false;
  rest = line.substr(prefix.size());
  return true;
}

void read_head(RewriteCase& test) {
  for (const std::string& line : test.head) {
    std::string rest;
    if (starts_with(line, "inputs", rest)) {
      test.inputs = rest;
    } else if (starts_with(line, "excluding", rest)) {
      test.query = test.query.excluding(rest);
    } else if (starts_with(line, "including", rest)) {
      test.query = test.query.including(rest);
    } else if (starts_with(line, "requiring", rest)) {
      test.query = test.query.requiring(rest);
    } else if (line == "specialized") {
      test.specialized = true;
    } else if (starts_with(line, "device", rest)) {
      std::istringstream words(rest);
      std::string name;
      words >> name;
      test.device = Device::from_name(name);
      while (words >> name) test.without.push_back(name);
    } else if (starts_with(line, "values", rest)) {
      std::istringstream(rest) >> test.low >> test.high;
    } else {
      test.expression += (test.expression.empty() ? "" : "\n") + line;
    }
  }
}

}  // namespace

RewriteFile read_rewrites(const std::string& path) {
  RewriteFile file{path, "", {}};
  std::ifstream in(path);
  if (!in) throw std::runtime_error("cannot read " + path);
  bool expected = false;
  for (std::string line; std::getline(in, line);) {
    std::string name;
    if (starts_with(line, "===", name)) {
      file.cases.emplace_back();
      file.cases.back().name = name;
      expected = false;
    } else if (file.cases.empty()) {
      file.comment += line + "\n";
    } else if (line == "---") {
      expected = true;
    } else if (expected) {
      file.cases.back().expected += line + "\n";
    } else if (!line.empty()) {
      file.cases.back().head.push_back(line);
    }
  }
  for (RewriteCase& test : file.cases) {
    while (test.expected.ends_with("\n\n")) test.expected.pop_back();
    read_head(test);
  }
  return file;
}

void write_rewrites(const RewriteFile& file) {
  std::ofstream out(file.path);
  out << file.comment;
  for (std::size_t i = 0; i < file.cases.size(); ++i) {
    const RewriteCase& test = file.cases[i];
    if (i != 0) out << "\n";
    out << "=== " << test.name << "\n";
    for (const std::string& line : test.head) out << line << "\n";
    out << "---\n" << test.expected;
  }
}

std::unordered_map<Variable, Tensor> random_values(std::span<const Variable> inputs, double low, double high,
                                                   std::mt19937_64& random) {
  std::unordered_map<Variable, Tensor> values;
  for (const Variable& input : inputs) {
    Shape shape = input.type().shape;
    for (std::int64_t& extent : shape) {
      if (extent == unknown) extent = 3;
    }
    const Tensor drawn = Tensor::empty(shape, DType::float64);
    for (double& x : drawn.elements<double>()) {
      x = is_discrete(input.dtype()) ? static_cast<double>(random() % (is_bool(input.dtype()) ? 2 : 3))
                                     : std::uniform_real_distribution<double>(low, high)(random);
    }
    values.emplace(input, drawn.astype(input.dtype()));
  }
  return values;
}

std::unordered_map<Variable, Tensor> values_for(const FunctionGraph& graph, std::span<const Variable> inputs,
                                                const std::unordered_map<Variable, Tensor>& values) {
  std::unordered_map<Variable, Tensor> result;
  for (std::size_t i = 0; i < inputs.size(); ++i) result.emplace(graph.inputs()[i], values.at(inputs[i]));
  return result;
}

}  // namespace croton::test
