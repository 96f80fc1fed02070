#include "croton/graph/flags.h"

namespace croton {

DType float_x() { return DType::float32; }

}  // namespace croton
