#pragma once

/// Everything that a program needs, included as <croton/croton.h>.
#include "croton/graph/flags.h"
#include "croton/graph/message.h"
#include "croton/graph/npy.h"
#include "croton/graph/tensor.h"
#include "croton/graph/version.h"
#include "croton/runtime/function.h"
