// croton replay: runs again what DebugMode or NanGuardMode reported.

#include <fmt/format.h>

#include <memory>

#include <croton/graph/check_error.h>
#include <croton/graph/error.h>
#include <croton/graph/tensor.h>
#include <croton/runtime/debug_report.h>

#include "command.h"

namespace {

struct ReplayOptions {
  std::string file, mode, device;
};

void replay(const ReplayOptions& options) {
  const croton::Replay replay = croton::load_replay(options.file, options.mode, options.device);
  try {
    const croton::Outputs results = replay.function.call_all(replay.arguments);
    fmt::print("nothing is wrong any more; the results:\n");
    for (const croton::Tensor& result : results) fmt::print("{}\n", croton::to_string(result));
  } catch (const croton::DebugModeError& e) {
    fmt::print("{}\n", e.what());
    throw CLI::RuntimeError(1);
  } catch (const croton::NanGuardError& e) {
    fmt::print("{}\n", e.what());
    throw CLI::RuntimeError(1);
  }
}

}  // namespace

void add_replay_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand(
      "replay", "Run again what DebugMode or NanGuardMode wrote; status 1 when it is still wrong.");
  auto options = std::make_shared<ReplayOptions>();
  command->add_option("FILE", options->file, "The file that the error named; FILE.npz lies beside it")
      ->required();
  command->add_option("--mode", options->mode,
                      "Another mode than the one that wrote the file: FAST_RUN, None, …");
  command->add_option("--device", options->device, "Another device than that of the report: cpu, cuda, …");
  add_flags_option(*command);
  command->callback([options] { replay(*options); });
}
