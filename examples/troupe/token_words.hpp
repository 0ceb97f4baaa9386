#pragma once

#include <cstddef>
#include <string>

#include "troupe/core/result.hpp"
#include "troupe/storage/small_file.hpp"

namespace cli {

/// Returns what --token means: a line, or the content of the file behind "@".
inline troupe::result<std::string> read_token(const std::string& word) {
  constexpr std::size_t longest = 4'096;
  if (!word.starts_with('@'))
    return word;
  return troupe::storage::read_small(word.substr(1), longest);
}

} // namespace cli
