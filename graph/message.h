#pragma once

#include <functional>
#include <string_view>

#include "croton/graph/export.h"

namespace croton {

enum class Severity { info, warning };

/// Gets every message of the library; may be called from several threads at once. It must not throw.
using MessageSink = std::function<void(Severity, std::string_view)>;

/// Where messages go from now on. An empty sink puts the default back: a line each on standard error.
CROTON_API void set_message_sink(MessageSink sink);

/// Sends a message to the sink.
CROTON_API void send_message(Severity severity, std::string_view text);

/// Sends a warning unless the same text was sent before in this process.
CROTON_API void warn_once(std::string_view text);

}  // namespace croton
