#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

/// Shell completions and the man page, made from the commands of the parser.
namespace cli {

/// The shells that completion_of() knows.
std::vector<std::string> completed_shells();

/// A script that completes the arguments of `app` in `shell`: commands, options, and values if they
/// are a fixed set of words, files or folders.
/// @pre `shell` is one of completed_shells()
std::string completion_of(const CLI::App& app, const std::string& shell);

/// A page for `man` (man(7)) of `app`: all commands with their options.
std::string man_page_of(const CLI::App& app, const std::string& version);

} // namespace cli
