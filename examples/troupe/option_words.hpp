#pragma once

#include <sstream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

/// What the help, the man page and the shell completions say about one option or argument.
namespace cli {

inline bool is_flag(const CLI::Option& option) {
  return option.get_items_expected_max() == 0;
}

/// An argument has no dashes, such as FILE of `troupe dag FILE`.
inline bool is_argument(const CLI::Option& option) {
  return !option.nonpositional();
}

inline bool may_repeat(const CLI::Option& option) {
  return option.get_expected_max() > 1;
}

/// The kind of its value in a word: FILE, HOST:PORT, NUMBER. Empty for a flag.
inline std::string value_word(const CLI::Option& option) {
  if (is_flag(option))
    return {};
  if (is_argument(option))
    return option.get_name(true);
  if (auto text = option.get_option_text(); !text.empty())
    return text;
  auto type = option.get_type_name();
  return type.starts_with("UINT") || type.starts_with("FLOAT") ? "NUMBER" : "TEXT";
}

/// All values that it accepts, if they are a fixed set of words. The type has them in braces, as
/// the checks of the parser write them (CLI::IsMember, one_of).
inline std::vector<std::string> fixed_values(const CLI::Option& option) {
  auto type = option.get_type_name();
  auto begin = type.find('{');
  auto end = type.find('}', begin);
  std::vector<std::string> found;
  if (end == std::string::npos)
    return found;
  std::istringstream words{type.substr(begin + 1, end - begin - 1)};
  for (std::string each; std::getline(words, each, ',');)
    found.push_back(each);
  return found;
}

/// Its description, with its default if it has one: what has to be given has none.
inline std::string meaning_of(const CLI::Option& option) {
  auto text = option.get_description();
  auto value = option.get_default_str();
  if (value.size() > 1 && value.starts_with('[')) // of a list
    value = value.substr(1, value.size() - 2);
  if (is_flag(option) || option.get_required() || value.empty())
    return text;
  return text + "; default: " + value;
}

/// Its names with dashes: "-h", "--timeout". Empty for an argument.
inline std::vector<std::string> spellings_of(const CLI::Option& option) {
  std::vector<std::string> found;
  for (auto& each : option.get_snames())
    found.push_back('-' + each);
  for (auto& each : option.get_lnames())
    found.push_back("--" + each);
  return found;
}

} // namespace cli
