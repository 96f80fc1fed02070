#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "croton/graph/message.h"

namespace croton::test {

/// The messages that the library sends while it lives.
struct Messages {
  Messages() {
    set_message_sink([this](Severity, std::string_view text) { list.emplace_back(text); });
  }
  ~Messages() { set_message_sink({}); }
  Messages(const Messages&) = delete;
  Messages& operator=(const Messages&) = delete;
  std::vector<std::string> list;
};

}  // namespace croton::test
