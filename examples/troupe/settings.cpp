#include "settings.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <numeric>
#include <utility>

#include <unistd.h>

namespace cli {

using namespace troupe;

namespace {

constexpr std::string_view prefix = "TROUPE_";
/// Variables that mean something else.
constexpr std::array reserved{"TROUPE_TOKEN", "TROUPE_HOME", "TROUPE_CONFIG"};
constexpr std::size_t max_file_bytes = 1'048'576;

/// The key of an option; empty if it has none.
std::string key_of(const CLI::Option& option) {
  auto& names = option.get_lnames();
  if (names.empty())
    return {};
  auto& name = names.front();
  return name == "help" || name == "json" || name == "config" ? std::string{} : name;
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

/// How many letters have to be put in, left out or changed to make one of the other.
/// Source: Wagner and Fischer, "The string-to-string correction problem" (1974).
std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < left.size(); ++i) {
    auto diagonal = std::exchange(row[0], i + 1);
    for (std::size_t j = 0; j < right.size(); ++j) {
      auto change = diagonal + (left[i] == right[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({change, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

/// A variable that is one slip away from one of ours; others are none of our business.
problem check_environment(const std::vector<std::string>& known) {
  std::vector<std::string> variables;
  std::ranges::transform(known, std::back_inserter(variables), variable_of);
  for (auto** each = ::environ; *each != nullptr; ++each) {
    std::string_view text{*each};
    auto name = text.substr(0, text.find('='));
    if (!name.starts_with(prefix) || std::ranges::find(variables, name) != variables.end()
        || std::ranges::find(reserved, name) != reserved.end())
      continue;
    auto close = nearest(name, variables);
    if (edit_distance(name, close) <= (close.size() - prefix.size()) / 3)
      return {errc::bad_argument, "the variable " + std::string{name}
                                    + " is not known; the nearest one is " + close
                                    + ": rename or unset it"};
  }
  return {};
}

result<std::vector<std::string>> to_texts(const json& value) {
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
  auto root = json::parse(text, nullptr, false);
  if (!root.is_object())
    return problem{errc::bad_argument, path + ": is no JSON object; write {\"slots\": 8}, say"};
  for (auto& [key, value] : root.items()) {
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

result<origins> apply_settings(CLI::App& command, const CLI::App& known, const std::string& file) {
  auto keys = keys_of(known);
  if (auto why = check_environment(keys); why.code != errc::none)
    return why;
  auto values = read_file(file, keys);
  if (!values)
    return values.error();
  origins from;
  for (auto* option : command.get_options()) {
    auto key = key_of(*option);
    if (std::ranges::find(keys, key) == keys.end())
      continue; // said with each call, never for good
    auto& where = from[key];
    where = option->count() > 0 ? origin::flag : origin::built_in;
    if (where == origin::flag)
      continue;
    if (auto* variable = std::getenv(variable_of(key).c_str())) {
      where = origin::environment;
      option->add_result(std::string{variable});
    } else if (auto found = values->find(key); found != values->end()) {
      where = origin::file;
      option->add_result(found->second);
    } else {
      continue;
    }
    option->run_callback();
  }
  return from;
}

int run_config(const common_options& common, const CLI::App& command, const origins& from) {
  for (auto& [key, where] : from) {
    auto* option = command.get_option("--" + key);
    std::string value;
    for (auto& each : option->results())
      value += (value.empty() ? "" : ",") + each;
    if (where == origin::built_in)
      value = option->get_default_str();
    if (common.json)
      print({{"key", key},
             {"value", value},
             {"from", std::string{name_of(where)}},
             {"variable", variable_of(key)}});
    else
      std::cout << key << " = " << value << "  (" << name_of(where) << ')' << std::endl;
  }
  return ok;
}

} // namespace cli
