#include "settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <sstream>
#include <utility>

#include <unistd.h>

#include "help.hpp"
#include "option_words.hpp"
#include "troupe/core/json_tree.hpp"

namespace cli {

using namespace troupe;

namespace {

constexpr std::string_view prefix = "TROUPE_";
/// Variables that are not options.
constexpr std::array reserved{"TROUPE_TOKEN", "TROUPE_HOME", "TROUPE_CONFIG"};
/// Options that neither a variable nor a file sets.
constexpr std::array flags_only{"help", "json", "config", "token"};
constexpr std::size_t max_file_bytes = 1'048'576;

/// The key of an option; empty if it has none.
std::string key_of(const CLI::Option& option) {
  auto& names = option.get_lnames();
  if (names.empty())
    return {};
  auto& name = names.front();
  return std::ranges::find(flags_only, name) != flags_only.end() ? std::string{} : name;
}

std::vector<std::string> keys_of(const CLI::App& command) {
  std::vector<std::string> result;
  for (auto* each : command.get_options())
    if (auto key = key_of(*each); !key.empty())
      result.push_back(std::move(key));
  return result;
}

std::string variable_of(std::string key) {
  for (auto& each : key)
    each = each == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(each)));
  return std::string{prefix} + key;
}

char to_lower(char letter) {
  return static_cast<char>(std::tolower(static_cast<unsigned char>(letter)));
}

/// Edit distance: how many letters have to be inserted, deleted, changed or swapped with the next
/// one. Upper and lower case are the same.
/// Source: Damerau, "A technique for computer detection and correction of spelling errors" (1964);
/// no letter is edited twice.
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> before; // the row before the last one
  std::vector<std::size_t> last(right.size() + 1);
  std::iota(last.begin(), last.end(), std::size_t{0});
  auto same = [&](std::size_t i, std::size_t j) { return to_lower(left[i]) == to_lower(right[j]); };
  for (std::size_t i = 0; i < left.size(); ++i) {
    std::vector<std::size_t> row{i + 1};
    for (std::size_t j = 0; j < right.size(); ++j) {
      row.push_back(std::min({last[j] + (same(i, j) ? 0 : 1), last[j + 1] + 1, row[j] + 1}));
      if (i > 0 && j > 0 && same(i, j - 1) && same(i - 1, j))
        row.back() = std::min(row.back(), before[j - 1] + 1);
    }
    before = std::exchange(last, std::move(row));
  }
  return last.back();
}

/// Reports a variable that is a misspelt one of ours: its edit distance is at most a third of the
/// letters after TROUPE_. Others are ignored.
problem check_environment(const std::vector<std::string>& known) {
  std::vector<std::string> variables;
  std::ranges::transform(known, std::back_inserter(variables), variable_of);
  variables.insert(variables.end(), reserved.begin(), reserved.end());
  for (auto** each = ::environ; *each != nullptr; ++each) {
    std::string_view text{*each};
    auto name = text.substr(0, text.find('='));
    if (!name.starts_with(prefix) || std::ranges::find(variables, name) != variables.end())
      continue;
    auto close = nearest(name, variables);
    if (edit_distance(name, close) <= (close.size() - prefix.size()) / 3)
      return {errc::bad_argument, "the variable " + std::string{name}
                                    + " is not known; the nearest one is " + close
                                    + ": rename or unset it"};
  }
  return {};
}

result<std::vector<std::string>> to_texts(const nlohmann::json& value) {
  if (value.is_string())
    return std::vector{value.get<std::string>()};
  if (value.is_number() || value.is_boolean())
    return std::vector{value.dump()};
  if (value.is_array() && std::ranges::all_of(value, [](auto& each) { return each.is_string(); }))
    return value.get<std::vector<std::string>>();
  return problem{errc::bad_argument, "is " + std::string{value.type_name()}
                                       + "; give a text, a number, true, false or a list of texts"};
}

using file_values = std::map<std::string, std::vector<std::string>>;

result<file_values> read_file(const std::string& path, const std::vector<std::string>& known) {
  file_values values;
  if (path.empty())
    return values;
  std::ifstream in{path, std::ios::binary};
  if (!in)
    return problem{errc::not_found, path + ": cannot be read; check the path of --config"};
  std::string text(max_file_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_file_bytes)
    return problem{errc::too_large, path + ": has more than " + std::to_string(max_file_bytes)
                                      + " bytes; is this the right file?"};
  constexpr auto example = "; write for example {\"slots\": 8}";
  auto root = parse_json(text);
  if (!root)
    return problem{root.error().code, path + ": " + root.error().detail + example};
  if (!root->is_object())
    return problem{errc::bad_argument, path + ": is not a JSON object" + example};
  for (auto& [key, value] : root->items()) {
    if (std::ranges::find(flags_only, key) != flags_only.end())
      return problem{errc::bad_argument,
                     path + ": '" + key + "' is a flag only; give --" + key + " to the command"};
    if (std::ranges::find(known, key) == known.end())
      return problem{errc::bad_argument, path + ": the key '" + key
                                           + "' is not known; the nearest one is '"
                                           + nearest(key, known) + "'"};
    auto texts = to_texts(value);
    if (!texts)
      return problem{errc::bad_argument, path + ": '" + key + "' " + texts.error().detail};
    values[key] = *texts;
  }
  return values;
}

} // namespace

std::string nearest(std::string_view wrong, const std::vector<std::string>& known) {
  return *std::ranges::min_element(
    known, {}, [&](const std::string& each) { return edit_distance(wrong, each); });
}

std::optional<std::string> close_to(std::string_view wrong, const std::vector<std::string>& known) {
  if (known.empty())
    return {};
  auto found = nearest(wrong, known);
  auto letters = found.size() - std::min(found.find_first_not_of('-'), found.size());
  return edit_distance(wrong, found) <= std::max<std::size_t>(letters / 3, 1) ? std::optional{found}
                                                                              : std::nullopt;
}

namespace {

/// The words of a list in a variable.
std::vector<std::string> split_at_commas(const std::string& text) {
  std::vector<std::string> result;
  std::istringstream rest{text};
  for (std::string each; std::getline(rest, each, ',');)
    result.push_back(each);
  return result.empty() ? std::vector{text} : result;
}

/// Sets an option to what a variable or a file has for it. The problem names `place` as the place
/// of the value.
problem set(CLI::Option& option, const std::vector<std::string>& values, const std::string& place) {
  try {
    option.add_result(values);
    option.run_callback();
  } catch (const CLI::ParseError& why) {
    auto said = say_why(why);
    auto own = option.get_name();
    said = place + (said.starts_with(own) ? said.substr(own.size()) : ": " + said);
    auto is_advice = said.find("; ") != std::string::npos;
    return {errc::bad_argument, said + (is_advice ? "" : "; see troupe config --help")};
  }
  return {};
}

} // namespace

result<origins> apply_settings(CLI::App& command, const CLI::App& known, const std::string& file) {
  auto keys = keys_of(known);
  if (auto why = check_environment(keys))
    return why;
  auto values = read_file(file, keys);
  if (!values)
    return values.error();
  origins from;
  for (auto* option : command.get_options()) {
    auto key = key_of(*option);
    if (std::ranges::find(keys, key) == keys.end())
      continue; // has to be given with each call
    auto& where = from[key];
    where = option->count() > 0 ? origin::flag : origin::built_in;
    if (where == origin::flag)
      continue;
    auto name = variable_of(key);
    problem why;
    if (auto* variable = std::getenv(name.c_str())) {
      where = origin::environment;
      why = set(
        *option,
        may_repeat(*option) ? split_at_commas(variable) : std::vector<std::string>{variable}, name);
    } else if (auto found = values->find(key); found != values->end()) {
      where = origin::file;
      why = set(*option, found->second, file + ": " + key);
    }
    if (why)
      return why;
  }
  return from;
}

namespace {

/// The elements of a list as the parser writes it: "[a,b]".
std::vector<std::string> words_of(const std::string& list) {
  return list.size() <= 2 ? std::vector<std::string>{}
                          : split_at_commas(list.substr(1, list.size() - 2));
}

/// The effective value of an option, by its type: boolean, number, list of texts or text.
json value_of(const CLI::Option& option, bool is_given) {
  auto type = option.get_type_name();
  if (option.get_items_expected_max() == 0)
    return is_given ? option.as<bool>() : option.get_default_str() == "true";
  if (type.starts_with("UINT"))
    return option.as<std::uint64_t>();
  if (type.starts_with("FLOAT"))
    return option.as<double>();
  if (option.get_items_expected_max() > 1)
    return is_given ? option.as<std::vector<std::string>>() : words_of(option.get_default_str());
  return option.as<std::string>();
}

std::string to_text(const json& value) {
  if (value.is_string())
    return value.get<std::string>();
  if (!value.is_array())
    return value.dump();
  std::string text;
  for (auto& each : value)
    text += (text.empty() ? "" : ",") + each.get<std::string>();
  return text;
}

} // namespace

int run_config(const common_options& common, const CLI::App& command, const origins& from) {
  for (auto& [key, where] : from) {
    auto value = value_of(*command.get_option("--" + key), where != origin::built_in);
    auto text = to_text(value);
    if (common.json)
      print({{"key", key},
             {"value", value},
             {"from", std::string{name_of(where)}},
             {"variable", variable_of(key)}});
    else
      print_line(std::cout, key + " = " + (text.empty() ? "(none)" : printable(text)) + "  ("
                              + std::string{name_of(where)} + ")");
  }
  return ok;
}

} // namespace cli
