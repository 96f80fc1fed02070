#include "croton/ops/elementwise_table.h"

#include <algorithm>
#include <iterator>

namespace croton {

std::vector<ElementwiseRow> elementwise_table() {
  std::vector<ElementwiseRow> table;
  for (const auto rows_of_kind :
       {arithmetic_rows, exponential_rows, trigonometric_rows, special_rows, logic_rows, selection_rows}) {
    std::vector<ElementwiseRow> rows = rows_of_kind();
    std::ranges::move(rows, std::back_inserter(table));
  }
  return table;
}

}  // namespace croton
