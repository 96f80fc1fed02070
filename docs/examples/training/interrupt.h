#pragma once

/// From now on Ctrl-C (SIGINT), and SIGTERM, ask the program to end after what it is doing, so that it can
/// save what it has; the second one ends it at once.
void watch_interrupts();
/// The signal that asked; 0 while none has.
int interrupt_signal();
/// What ends the work then.
struct Interrupted {};
/// Throws Interrupted.
void check_interrupt();
