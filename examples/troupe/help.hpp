#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "ca_verbs.hpp"
#include "troupe/core/problem.hpp"

/// The output of `troupe --help`, and the errors for arguments that no command takes.
namespace cli {

/// Sets the groups, examples and help format of the commands of `app`.
void arrange_help(CLI::App& app);

/// The help of the program, or of the command `name` if that is not empty.
std::string help_of(const CLI::App& app, const std::string& name);

/// The help of one verb of `troupe ca`, with the options that it takes.
std::string help_of_verb(const CLI::App& ca, const ca_verb& verb);

/// What the parser says of a value, in our words: "--slots: 'x' is not a whole number …".
std::string say_why(const CLI::ParseError& why);

/// Explains why `app` refused the arguments, and what to do. `behind_mark` are the words behind
/// `--`, none of which can be an option.
troupe::problem explain(const CLI::App& app, const CLI::ParseError& why,
                        const std::vector<std::string>& behind_mark);

} // namespace cli
