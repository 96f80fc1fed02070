#pragma once

/// Everything that a program needs, included as <croton/croton.h>.
#include "croton/graph/version.h"
#include "croton/runtime/function.h"
