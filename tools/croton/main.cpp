// The command `croton`: shows graphs, evaluates expressions, and tells about flags, ops and this machine.

#include <fmt/format.h>

#include <cstdio>
#include <new>

#include <croton/graph/error.h>
#include <croton/graph/nearest_names.h>
#include <croton/graph/version.h>

#include "command.h"

namespace {

constexpr int bad_input = 2;

int complain(std::string_view message) {
  fmt::print(stderr, "croton: {}\n", message);
  return bad_input;
}

/// What an argument that nobody takes is: mostly a command with a typing mistake.
std::string about_extras(const CLI::App& app, std::string_view first) {
  std::vector<std::string> commands;
  for (const CLI::App* command : app.get_subcommands(nullptr)) commands.push_back(command->get_name());
  if (!app.get_subcommands().empty() || first.empty() || first.starts_with('-')) return {};
  const std::vector<std::string_view> names(commands.begin(), commands.end());
  return fmt::format("there is no command '{}'{}", first, croton::did_you_mean(first, names));
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("Compiler for symbolic tensor expressions.", "croton");
  app.set_version_flag("--version", croton::version_details, "Versions of everything inside.");
  app.require_subcommand(0, 1);
  add_debugprint_command(app);
  add_why_command(app);
  add_why_not_command(app);
  add_lint_command(app);
  add_profile_command(app);
  add_eval_command(app);
  add_flags_command(app);
  add_ops_command(app);
  add_doctor_command(app);
  add_cache_command(app);
  add_tune_command(app);
  add_replay_command(app);
  add_bisect_command(app);
  try {
    app.parse(argc, argv);
    if (app.get_subcommands().empty()) fmt::print("{}", app.help());
    if (std::fflush(stdout) != 0) return complain("cannot write to standard output");
    return 0;
  } catch (const CLI::CallForHelp& e) {
    return app.exit(e);
  } catch (const CLI::CallForVersion& e) {
    return app.exit(e);
  } catch (const CLI::RuntimeError& e) {
    // A command that ran and says so: croton lint found something.
    return std::fflush(stdout) == 0 ? e.get_exit_code() : complain("cannot write to standard output");
  } catch (const CLI::ParseError& e) {
    const std::string extras = about_extras(app, argc > 1 ? argv[1] : "");
    return complain(
        fmt::format("{}\nRun croton --help for what there is.", extras.empty() ? e.what() : extras));
  } catch (const croton::Error& e) {
    return complain(e.what());
  } catch (const std::bad_alloc&) {
    return complain("out of memory");
  }
}
