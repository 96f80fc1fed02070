#pragma once

namespace croton::test {

/// The expression of a two-layer network, and what debugprint shows of it optimized.
inline constexpr const char* two_layers = "softmax(dot(tanh(dot(X, W1) + b1), W2) + b2)";
inline constexpr const char* two_layers_optimized =
    "SoftmaxWithBias [@A] ''   4\n"
    " |Dot22 [@B] ''   3\n"
    " | |Elemwise{Composite{tanh((i0 + i1))}}[(0, 0)] [@C] ''   2\n"
    " | | |Dot22 [@D] ''   1\n"
    " | | | |X [@E]\n"
    " | | | |W1 [@F]\n"
    " | | |InplaceDimShuffle{x,0} [@G] ''   0\n"
    " | |   |b1 [@H]\n"
    " | |W2 [@I]\n"
    " |b2 [@J]\n";

}  // namespace croton::test
