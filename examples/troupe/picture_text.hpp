#pragma once

#include <string>
#include <string_view>

#include "cli.hpp"

namespace cli {

/// A text for a picture: as printable() shows it, with U+FFFE and U+FFFF, which XML 1.0 does not
/// allow, replaced by U+FFFD. Source: Extensible Markup Language (XML) 1.0, fifth edition, section
/// 2.2.
inline std::string text_of_picture(std::string_view text) {
  auto all = printable(text);
  for (std::string_view unknown : {"\xef\xbf\xbe", "\xef\xbf\xbf"})
    for (auto at = all.find(unknown); at != std::string::npos; at = all.find(unknown, at))
      all.replace(at, unknown.size(), "\xef\xbf\xbd");
  return all;
}

} // namespace cli
