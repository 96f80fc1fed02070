#include "interrupt.h"

#include <csignal>

namespace {

volatile std::sig_atomic_t caught = 0;

void on_interrupt(int signal) {
  caught = signal;
  std::signal(signal, SIG_DFL);
}

}  // namespace

void watch_interrupts() {
  std::signal(SIGINT, on_interrupt);
  std::signal(SIGTERM, on_interrupt);
}

int interrupt_signal() { return caught; }

void check_interrupt() {
  if (caught != 0) throw Interrupted{};
}
