#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <CLI/CLI.hpp>

#include "cli.hpp"

/// Options from a file and from the environment. A flag wins over a variable, a variable over
/// the file, the file over the default.
///
/// The file is a JSON object with the long names of options as keys, and texts, numbers, true,
/// false or lists of texts: `{"listen": "127.0.0.1:0", "slots": 8}`. The variable of
/// --leave-on-term is TROUPE_LEAVE_ON_TERM; a list in it is separated by commas.
namespace cli {

enum class origin : std::uint8_t { built_in = 0, file = 1, environment = 2, flag = 3 };

constexpr std::string_view name_of(origin from) noexcept {
  switch (from) {
    case origin::built_in:
      return "default";
    case origin::file:
      return "file";
    case origin::environment:
      return "environment";
    case origin::flag:
      return "flag";
  }
  return "unknown";
}

/// The origins of the options of one command, by their keys.
using origins = std::map<std::string, origin>;

/// Returns the word of `known` with the smallest edit distance to `wrong`.
/// @pre `known` is not empty
std::string nearest(std::string_view wrong, const std::vector<std::string>& known);

/// That word if `wrong` may be a misspelling of it: its edit distance is at most 1, or at most a
/// third of its letters.
std::optional<std::string> close_to(std::string_view wrong, const std::vector<std::string>& known);

/// Sets each option of `command` that was not given as a flag from its variable or from `file` (if
/// not empty). The keys are the options of `known`. Errors: bad_argument (an unknown key, with the
/// nearest one; a file that is not such an object; a value that an option does not accept, with the
/// variable, or the file and the key), not_found (the file), too_large (the file).
troupe::result<origins> apply_settings(CLI::App& command, const CLI::App& known,
                                       const std::string& file);

/// Prints the effective options of `command`, and where each comes from.
int run_config(const common_options& common, const CLI::App& command, const origins& from);

} // namespace cli
