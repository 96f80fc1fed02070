// Reads the text form of graphs. See docs/text_form.md for the grammar.

#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "croton/graph/error.h"
#include "croton/graph/nearest_names.h"
#include "croton/graph/node.h"
#include "croton/graph/op.h"
#include "croton/graph/parse_scanner.h"
#include "croton/graph/parse_value.h"
#include "croton/graph/shared_variable.h"
#include "croton/graph/subgraph.h"
#include "croton/graph/text_form.h"
#include "croton/graph/text_value.h"

namespace croton {
namespace {

/// Graphs inside attributes inside graphs: the only recursion of the parser.
constexpr int deepest_nesting = 32;

class GraphParser {
 public:
  GraphParser(Scanner& scanner, const ParseOptions& options, int nesting)
      : scanner_(scanner), options_(options), file_(intern(options.file)), nesting_(nesting) {}

  TextGraph parse() {
    TextGraph graph;
    if (!scanner_.accept_word("graph")) scanner_.fail_expected("'graph'");
    if (scanner_.peek() == '"')
      graph.name = scanner_.expect_string("a name");
    else if (const std::string_view word = scanner_.peek_word(); !word.empty())
      graph.name = scanner_.expect_word("a name");
    parse_inputs(graph.inputs);
    scanner_.expect('{', "before the body of the graph");
    while (!scanner_.accept_word("return")) parse_statement();
    while (scanner_.peek() != '}' && scanner_.peek() != ';' && scanner_.peek_word() != "update") {
      if (!graph.outputs.empty()) scanner_.expect(',', "between outputs, or '}'");
      graph.outputs.push_back(parse_operand());
    }
    scanner_.accept(';');
    while (scanner_.peek_word() == "update") parse_update(graph);
    scanner_.expect('}', "at the end of the graph");
    return graph;
  }

 private:
  /// A variable about to be defined: its word and its name.
  struct Definition {
    std::size_t offset;
    std::string word;
    std::string name;
  };

  Definition parse_definition() {
    Definition definition{scanner_.position(), std::string(scanner_.expect_reference()), {}};
    if (names_.contains(definition.word))
      scanner_.fail(definition.offset, fmt::format("%{} is defined twice", definition.word));
    if (scanner_.peek() == '"')
      definition.name = scanner_.expect_string("a name");
    else if (!is_digit(definition.word[0]))
      definition.name = definition.word;
    return definition;
  }

  void define(const Definition& definition, Variable variable) {
    if (!names_.emplace(definition.word, variable).second)
      scanner_.fail(definition.offset, fmt::format("%{} is defined twice", definition.word));
    if (!definition.name.empty()) variable.set_name(definition.name);
  }

  void parse_inputs(std::vector<Variable>& inputs) {
    scanner_.expect('(', "before the inputs of the graph");
    if (scanner_.accept(')')) return;
    do {
      inputs.push_back(parse_input());
    } while (scanner_.accept(','));
    scanner_.expect(')', "or ',' behind an input");
  }

  Variable parse_input() {
    const std::uint32_t line = scanner_.line();
    const Definition definition = parse_definition();
    scanner_.expect(':', "and a type behind the input");
    TensorType type = scanner_.expect_type();
    const Variable variable(Node::make_input(std::move(type), "", parse_location(line)));
    define(definition, variable);
    return variable;
  }

  void parse_statement() {
    const std::size_t start = scanner_.position();
    if (scanner_.peek() == '%') {
      parse_node();
    } else if (scanner_.accept_word("input")) {
      parse_input();
    } else if (scanner_.accept_word("const")) {
      const std::uint32_t line = scanner_.line();
      const Definition definition = parse_definition();
      scanner_.expect('=', "and a value behind the constant");
      Tensor value = parse_tensor(scanner_, options_.most_bytes);
      define(definition, Variable(Node::make_constant(std::move(value), parse_location(line))));
    } else if (scanner_.accept_word("shared")) {
      if (nesting_ > 0) scanner_.fail(start, "a graph inside an attribute cannot have shared variables");
      parse_shared();
    } else if (const std::string_view word = scanner_.peek_word(); !word.empty()) {
      static constexpr std::string_view statements[] = {"return", "shared", "const", "input"};
      scanner_.fail(start, fmt::format("unknown statement '{}'{}", word, did_you_mean(word, statements)));
    } else {
      scanner_.fail_expected("a definition (%name = …), const, shared or return");
    }
    scanner_.accept(';');
  }

  void parse_update(TextGraph& graph) {
    const std::size_t start = scanner_.position();
    scanner_.accept_word("update");
    if (nesting_ > 0) scanner_.fail(start, "a graph inside an attribute cannot have updates");
    const std::size_t target_start = scanner_.position();
    const Variable target = parse_operand();
    if (!target.is_shared()) scanner_.fail(target_start, "only shared variables have new values");
    for (const auto& [other, value] : graph.updates) {
      if (other == target) scanner_.fail(target_start, describe(target) + " has a new value already");
    }
    scanner_.expect('=', "and the new value");
    const std::size_t value_start = scanner_.position();
    Variable value = parse_operand();
    if (!compatible(value.type(), target.type())) {
      scanner_.fail(value_start, fmt::format("the new value is {}, but the shared variable is {}",
                                             to_string(value.type()), to_string(target.type())));
    }
    graph.updates.emplace_back(target, std::move(value));
    scanner_.accept(';');
  }

  void parse_shared() {
    const std::uint32_t line = scanner_.line();
    const Definition definition = parse_definition();
    scanner_.expect(':', "and a type behind the shared variable");
    TensorType type = scanner_.expect_type();
    Tensor value;
    if (scanner_.accept('=')) {
      const std::size_t start = scanner_.position();
      value = parse_tensor(scanner_, options_.most_bytes);
      if (!compatible({value.dtype(), value.shape()}, type)) {
        scanner_.fail(start,
                      fmt::format("the value is {}, but the shared variable is {}",
                                  to_string(TensorType{value.dtype(), value.shape()}), to_string(type)));
      }
    }
    auto cell = std::make_shared<SharedCell>(std::move(value));
    define(definition, Variable(Node::make_shared(std::move(cell), std::move(type), parse_location(line))));
  }

  /// `at "lenet.cpp":57`, else the place in this text.
  SourceLocation parse_location(std::uint32_t line) {
    SourceLocation where;
    where.file = file_;
    where.line = line;
    if (scanner_.accept_word("at")) {
      where.file = intern(scanner_.expect_string("the name of a file in quotes"));
      scanner_.expect(':', "and a line behind the file");
      const std::size_t start = scanner_.position();
      const std::int64_t number = scanner_.expect_integer("the number of a line");
      if (number < 1 || number > std::int64_t{UINT32_MAX}) scanner_.fail(start, "there is no such line");
      where.line = static_cast<std::uint32_t>(number);
    }
    return where;
  }

  Variable parse_operand() {
    if (scanner_.peek() != '%') {
      if (!parse_dtype(scanner_.peek_word()))
        scanner_.fail_expected("a variable (%name) or a constant (float32(0.5))");
      const std::uint32_t line = scanner_.line();
      Tensor value = parse_tensor(scanner_, options_.most_bytes);
      SourceLocation where;
      where.file = file_;
      where.line = line;
      return Variable(Node::make_constant(std::move(value), where));
    }
    const std::size_t start = scanner_.position();
    const std::string word(scanner_.expect_reference());
    const auto entry = names_.find(word);
    if (entry != names_.end()) return entry->second;
    std::vector<std::string_view> known;
    for (const auto& [name, variable] : names_) known.push_back(name);
    std::sort(known.begin(), known.end());
    scanner_.fail(start,
                  fmt::format("%{} is not defined before this line{}", word, did_you_mean(word, known)));
  }

  void parse_node() {
    const std::uint32_t line = scanner_.line();
    std::vector<Definition> definitions;
    do {
      definitions.push_back(parse_definition());
    } while (scanner_.accept(','));
    scanner_.expect('=', "behind what is defined");
    const std::size_t op_start = scanner_.position();
    const std::string_view op_name = scanner_.expect_word("the name of an op");
    const Op* op = find_op(op_name);
    if (op == nullptr) {
      std::vector<std::string_view> known;
      for (const Op* other : all_ops()) known.push_back(other->name());
      scanner_.fail(op_start, fmt::format("unknown op '{}'{}", op_name, did_you_mean(op_name, known)));
    }
    scanner_.expect('(', "before the operands");
    std::vector<Variable> operands;
    while (!scanner_.accept(')')) {
      if (!operands.empty()) scanner_.expect(',', "between operands, or ')'");
      operands.push_back(parse_operand());
    }
    Attributes attributes = parse_attributes();
    const std::size_t types_start = scanner_.position();
    std::vector<TensorType> types;
    if (scanner_.accept(':')) {
      do {
        types.push_back(scanner_.expect_type());
      } while (scanner_.accept(','));
    }
    const SourceLocation where = parse_location(line);

    Ref<Node> node = infer(*op, op_start, operands, attributes, where);
    if (node->output_count() != definitions.size()) {
      scanner_.fail(definitions[0].offset, fmt::format("{} has {} outputs, but the text names {}", op->name(),
                                                       node->output_count(), definitions.size()));
    }
    if (!types.empty()) node = with_types(*node, std::move(types), types_start);
    for (std::size_t i = 0; i < definitions.size(); ++i) define(definitions[i], node->output(i));
  }

  Ref<Node> infer(const Op& op, std::size_t start, const std::vector<Variable>& operands,
                  const Attributes& attributes, const SourceLocation& where) {
    try {
      Ref<Node> node = make_node(op, operands, attributes, where);
      check_marks(*node, start);
      op.label(*node);  // looks at the attributes that types do not need
      return node;
    } catch (const MissingAttributeError& e) {
      std::vector<std::string_view> given;
      for (const auto& [name, value] : attributes) given.push_back(name);
      if (attributes.contains(e.attribute()))
        scanner_.fail(start, fmt::format("the attribute '{}' of {} has a value of the wrong kind",
                                         e.attribute(), op.name()));
      const std::vector<std::string_view> near = nearest_names(e.attribute(), given);
      scanner_.fail(start,
                    fmt::format("{} needs the attribute '{}'{}", op.name(), e.attribute(),
                                near.empty() ? "" : fmt::format(", which '{}' may stand for", near[0])));
    } catch (const ParseError&) {
      throw;
    } catch (const Error& e) {
      scanner_.fail(start, e.what());
    }
  }

  /// What is written over or a view names outputs and operands that there are.
  void check_marks(const Node& node, std::size_t start) {
    for (const auto& pairs : {node.op().destroy_map(node), node.op().view_map(node)}) {
      for (const auto& [output, input] : pairs) {
        if (output < 0 || input < 0 || static_cast<std::size_t>(output) >= node.output_count() ||
            static_cast<std::size_t>(input) >= node.input_count())
          scanner_.fail(
              start, fmt::format("the marks of {} name output {} and operand {}, but it has {} and {}",
                                 node.op().name(), output, input, node.output_count(), node.input_count()));
      }
    }
  }

  Ref<Node> with_types(const Node& node, std::vector<TensorType> types, std::size_t start) {
    if (types.size() != node.output_count())
      scanner_.fail(start, fmt::format("{} has {} outputs, but the text has {} types", node.op().name(),
                                       node.output_count(), types.size()));
    for (std::size_t i = 0; i < types.size(); ++i) {
      if (!compatible(types[i], node.type(i)) || !(types[i].device == node.type(i).device))
        scanner_.fail(start, fmt::format("{} gives {}, but the text says {}", node.op().name(),
                                         to_string(node.type(i)), to_string(types[i])));
    }
    return Node::make_apply(node.op(), {node.inputs().begin(), node.inputs().end()}, node.attributes(),
                            std::move(types), node.where());
  }

  Attributes parse_attributes() {
    std::vector<Attributes::Entry> entries;
    if (!scanner_.accept('{')) return Attributes();
    while (!scanner_.accept('}')) {
      if (!entries.empty()) scanner_.expect(',', "between attributes, or '}'");
      const std::size_t start = scanner_.position();
      std::string name = scanner_.peek() == '"'
                             ? scanner_.expect_string("a name")
                             : std::string(scanner_.expect_word("the name of an attribute"));
      if (std::any_of(entries.begin(), entries.end(), [&](const auto& entry) { return entry.first == name; }))
        scanner_.fail(start, fmt::format("the attribute '{}' is given twice", name));
      scanner_.expect('=', "behind the name of the attribute");
      entries.emplace_back(std::move(name), parse_attribute_value());
    }
    return Attributes(std::move(entries));
  }

  AttributeValue parse_attribute_value() {
    if (scanner_.peek_word() != "graph") return parse_plain_attribute(scanner_);
    const std::size_t start = scanner_.position();
    if (nesting_ == deepest_nesting)
      scanner_.fail(start, fmt::format("graphs are nested more than {} deep", deepest_nesting));
    const TextGraph body = GraphParser(scanner_, options_, nesting_ + 1).parse();
    try {
      return std::make_shared<const Subgraph>(body.inputs, body.outputs);
    } catch (const Error& e) {
      scanner_.fail(start, e.what());
    }
  }

  Scanner& scanner_;
  const ParseOptions& options_;
  const char* file_;
  int nesting_;
  std::unordered_map<std::string, Variable> names_;
};

}  // namespace

TextGraph parse_graph(std::string_view text, const ParseOptions& options) {
  Scanner scanner(text, options.file);
  TextGraph graph = GraphParser(scanner, options, 0).parse();
  if (!scanner.at_end()) scanner.fail_expected("the end of the text behind the graph");
  return graph;
}

}  // namespace croton
