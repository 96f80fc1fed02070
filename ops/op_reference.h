#pragma once

#include <string>

#include "croton/graph/export.h"

namespace croton {

/// The reference page of all registered ops, as Markdown: a table for each family, one line an op. What the
/// tables of rows say comes from the rows.
CROTON_API std::string ops_markdown();

}  // namespace croton
