#pragma once

/// Marks what libcroton exports; everything else stays hidden.
#if defined(CROTON_STATIC)
#define CROTON_API
#else
#define CROTON_API __attribute__((visibility("default")))
#endif
