/// Text in the form of graphs: any bytes give a ParseError, or a graph that prints as text which reads back
/// to an equal graph.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "croton/graph/error.h"
#include "croton/graph/text_form.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const croton::ParseOptions options{.file = "fuzz", .most_bytes = 1 << 16};
  croton::TextGraph graph;
  try {
    graph = croton::parse_graph(text, options);
  } catch (const croton::ParseError&) {
    return 0;
  }
  const std::string printed = croton::to_text(graph, {.shared_values = true, .locations = true});
  const auto difference = croton::graph_difference(graph, croton::parse_graph(printed, options),
                                                   {.inner_names = true, .shared_values = true});
  if (difference) {
    std::fprintf(stderr, "%s\n%s\n", difference->c_str(), printed.c_str());
    std::abort();
  }
  return 0;
}
