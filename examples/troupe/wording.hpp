#pragma once

#include <string>

/// Turns sentences of the services into sentences of the command.
namespace cli {

/// The sentence of an error with options of the command in place of C++ fields. For a bound that no
/// option sets it says that the bound cannot be set by command.
std::string in_our_words(std::string sentence);

/// A refusal of a message, with "this command" instead of the name of the message's type.
std::string about_command(std::string sentence);

} // namespace cli
