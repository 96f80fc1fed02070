#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

#include <croton/graph/variable.h>

// The subcommands of the tool, a file each: every function adds one to the application. What they throw ends
// the program with exit code 2.

void add_debugprint_command(CLI::App& app);
void add_why_command(CLI::App& app);
void add_why_not_command(CLI::App& app);
void add_lint_command(CLI::App& app);
void add_profile_command(CLI::App& app);
void add_eval_command(CLI::App& app);
void add_flags_command(CLI::App& app);
void add_ops_command(CLI::App& app);
void add_doctor_command(CLI::App& app);
void add_cache_command(CLI::App& app);
void add_tune_command(CLI::App& app);
void add_replay_command(CLI::App& app);
void add_bisect_command(CLI::App& app);

/// Gives a subcommand the option --flags, which sets them when the command runs.
void add_flags_option(CLI::App& command);

/// The flags that --flags set.
std::vector<std::string> command_line_flags();
/// The value that a flag had before.
std::string flag_before_command_line(const std::string& name);

/// The expressions of several -e, all over the same inputs.
std::vector<croton::Variable> parse_expressions(const std::vector<std::string>& expressions,
                                                const std::vector<croton::Variable>& inputs);
