#pragma once

#include <set>
#include <string>

#include <net/if.h>

namespace troupe::test {

/// The links of the network that the calling thread sees, by name.
inline std::set<std::string> network_links() {
  std::set<std::string> found;
  auto* all = ::if_nameindex();
  for (auto* each = all; each != nullptr && each->if_index != 0; ++each)
    found.insert(each->if_name);
  ::if_freenameindex(all);
  return found;
}

} // namespace troupe::test
