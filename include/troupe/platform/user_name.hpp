#pragma once

#include <array>
#include <string>

#include <pwd.h>
#include <sys/types.h>

namespace troupe {

/// The name of a user of this machine; its number, if it has none, as in a container.
inline std::string user_name(uid_t number) {
  passwd entry{};
  passwd* found = nullptr;
  std::array<char, 16'384> texts{};
  ::getpwuid_r(number, &entry, texts.data(), texts.size(), &found);
  return found != nullptr ? found->pw_name : std::to_string(number);
}

} // namespace troupe
