#pragma once

#include "croton/graph/export.h"
#include "croton/graph/node.h"

namespace croton {

/// While one lives, nodes made by this thread are not computed whatever the flag compute_test_value says: a
/// function is being compiled.
class CROTON_API NoTestValues {
 public:
  NoTestValues();
  ~NoTestValues();
  NoTestValues(const NoTestValues&) = delete;
  NoTestValues& operator=(const NoTestValues&) = delete;
};

/// Computes a node that was just made from the test values of its inputs, as the flag compute_test_value
/// says. ValueError where it is `raise` and an input has none; what the op throws is completed with the
/// shapes of the values.
void compute_test_value(Node& node);

}  // namespace croton
