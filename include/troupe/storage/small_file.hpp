#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include "troupe/core/result.hpp"

namespace troupe::storage {

/// Returns the content of a file that holds no secret. Errors: not_found, too_large (more than
/// `max_bytes`), bad_argument (it cannot be read).
inline result<std::string> read_small(const std::filesystem::path& file, std::size_t max_bytes) {
  std::error_code fault;
  auto which = std::filesystem::status(file, fault).type();
  if (which == std::filesystem::file_type::not_found)
    return problem{errc::not_found, "there is no file " + file.string() + "; check the path"};
  if (which == std::filesystem::file_type::fifo) // to open it waits for a writer
    return problem{errc::bad_argument, file.string() + " is a pipe; put a file there"};
  std::ifstream in{file, std::ios::binary};
  std::string text(max_bytes + 1, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (in.bad() || !in.is_open() || (in.fail() && !in.eof()))
    return problem{errc::bad_argument,
                   "cannot read " + file.string() + "; check the path and its permissions"};
  text.resize(static_cast<std::size_t>(in.gcount()));
  if (text.size() > max_bytes)
    return problem{errc::too_large, file.string() + " has more than " + std::to_string(max_bytes)
                                      + " bytes; check the path"};
  return text;
}

} // namespace troupe::storage
