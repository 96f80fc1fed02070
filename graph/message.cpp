#include "croton/graph/message.h"

#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <utility>

namespace croton {
namespace {

struct Messages {
  std::mutex mutex;
  std::shared_ptr<const MessageSink> sink;
  std::unordered_set<std::string> warned;
};

Messages& messages() {
  // Not destroyed: other static objects may warn while they are.
  static Messages& instance = *new Messages;
  return instance;
}

void print_line(Severity severity, std::string_view text) {
  const std::string line =
      (severity == Severity::warning ? "croton: warning: " : "croton: ") + std::string(text) + '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

void set_message_sink(MessageSink sink) {
  auto shared = sink ? std::make_shared<const MessageSink>(std::move(sink)) : nullptr;
  const std::lock_guard lock(messages().mutex);
  messages().sink.swap(shared);
}

void send_message(Severity severity, std::string_view text) {
  std::shared_ptr<const MessageSink> sink;
  {
    const std::lock_guard lock(messages().mutex);
    sink = messages().sink;
  }
  // Outside the lock, so that a sink may itself set sinks or warn.
  if (sink)
    (*sink)(severity, text);
  else
    print_line(severity, text);
}

void warn_once(std::string_view text) {
  {
    const std::lock_guard lock(messages().mutex);
    if (!messages().warned.emplace(text).second) return;
  }
  send_message(Severity::warning, text);
}

}  // namespace croton
