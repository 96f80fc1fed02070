#pragma once

#include "croton/optimizer/rule.h"

namespace croton {

// The rules by what they are about; phases.cpp says when they run.

const RuleSet& useless_rules();     // nodes that do nothing
const RuleSet& constant_rules();    // constants computed now
const RuleSet& arithmetic_rules();  // sums, products, powers in canonical form
const RuleSet& broadcast_rules();   // values spread over shapes: second, alloc
const RuleSet& alloc_rules();       // second becomes alloc
const RuleSet& shape_rules();       // shapes by arithmetic instead of by values
const RuleSet& layout_rules();      // dimshuffle, reshape, join
const RuleSet& indexing_rules();    // subtensor, inc_subtensor
const RuleSet& reduction_rules();   // sum, max, …
const RuleSet& stability_rules();   // forms that do not overflow or cancel
const RuleSet& softmax_rules();     // softmax, its logarithm, crossentropy
const RuleSet& power_rules();       // cheap forms of powers and quotients
const RuleSet& blas_rules();        // matrix products added to matrices
const RuleSet& product_rules();     // what matrix products are left
const RuleSet& bias_rules();        // softmax_with_bias

}  // namespace croton
