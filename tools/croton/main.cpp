// The command `croton`: shows graphs, evaluates expressions, and tells about flags, ops and this machine.

#include <fmt/format.h>
#include <fmt/ranges.h>

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

/// The complaint about arguments: mostly a command, or a command of a command, with a typing mistake.
std::string about_arguments(const CLI::App& app, int argc, char** argv, const CLI::ParseError& error) {
  const CLI::App* command = &app;
  std::string name = "croton";
  int at = 1;
  for (; !command->get_subcommands().empty(); ++at) {
    command = command->get_subcommands().front();
    name += " " + command->get_name();
  }
  std::string text = error.what();
  std::vector<std::string> commands;
  for (const CLI::App* one : command->get_subcommands(nullptr)) commands.push_back(one->get_name());
  const std::string_view word = at < argc ? argv[at] : "";
  if (!commands.empty() && !word.empty() && !word.starts_with('-')) {
    const std::vector<std::string_view> names(commands.begin(), commands.end());
    const std::string in = command == &app ? "" : " in " + name;
    text = fmt::format("there is no command '{}'{}{}", word, in, croton::did_you_mean(word, names));
  } else if (!commands.empty() && word.empty()) {
    text = fmt::format("{} needs one of {}", name, fmt::join(commands, ", "));
  }
  return fmt::format("{}\nRun {} --help for what there is.", text, name);
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
    return complain(about_arguments(app, argc, argv, e));
  } catch (const croton::Error& e) {
    return complain(e.what());
  } catch (const std::bad_alloc&) {
    return complain("out of memory");
  }
}
