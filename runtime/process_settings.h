#pragma once

namespace croton {

/// Passes on what flags say about the whole process where it has changed since: the number of threads, the
/// folder of compiled kernels; and lets the kernel cache's warnings reach the message sink.
void apply_process_settings();

}  // namespace croton
