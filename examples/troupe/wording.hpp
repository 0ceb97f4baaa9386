#pragma once

#include <string>

/// Turns sentences of the services into sentences of the command.
namespace cli {

/// The sentence of an error with options of the command in place of C++ fields. For a bound that no
/// option sets it says that the bound cannot be set by command.
std::string in_our_words(std::string sentence);

/// A refusal of a message, with "this command" instead of the name of the message's type.
std::string about_command(std::string sentence);

/// In single quotes of sh, bash and zsh, in which no character is special except the quote.
std::string shell_quoted(const std::string& text);

/// A text as one word of a command that people paste into a shell: quoted where it has to be.
std::string shell_word(const std::string& text);

} // namespace cli
