#pragma once

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>

#include "troupe/net/link_options.hpp"
#include "troupe/node/options.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/testing/throwaway_ca.hpp"

/// The certificates of tests with processes. The program of the tests makes a CA; the processes
/// that it starts find that by their environment, and the identity of a client as a user would.
namespace troupe::test {

inline constexpr auto test_ca_variable = "TEST_CA_FOLDER";

/// Makes it at the first call.
inline testing::throwaway_ca& test_ca() {
  static const auto made = [] {
    if (auto* given = std::getenv(test_ca_variable); given != nullptr)
      return std::make_unique<testing::throwaway_ca>(std::filesystem::path{given});
    auto ca = std::make_unique<testing::throwaway_ca>();
    ::setenv(test_ca_variable, ca->folder().c_str(), 1);
    ::setenv("TROUPE_HOME", ca->make_identity("tester", security::role::client).c_str(), 1);
    return ca;
  }();
  return *made;
}

/// Whether the test has set TROUPE_INSECURE, which commands see as well.
inline bool is_insecure() {
  return std::getenv("TROUPE_INSECURE") != nullptr;
}

/// For the links of clients.
inline net::link_options client_links() {
  return {.insecure = is_insecure()};
}

/// The folder of a client that may do all that clients may; empty for insecure links.
inline std::filesystem::path client_identity() {
  test_ca();
  return is_insecure() ? "" : std::getenv("TROUPE_HOME");
}

/// Gives a node a certificate, unless it has one, or its links are insecure.
inline void certify(cluster::node_options& how) {
  how.links.insecure = how.links.insecure || is_insecure();
  if (how.links.insecure || !how.identity.empty() || security::has_certificates(how.data))
    return;
  if (how.data.empty())
    how.identity = test_ca().make_identity(how.name);
  else
    test_ca().issue(how.data, how.name);
}

} // namespace troupe::test
