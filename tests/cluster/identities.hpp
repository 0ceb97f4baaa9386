#pragma once

#include "cluster/three_voters.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace troupe::test {

inline void must(const words& arguments) {
  auto done = run(arguments);
  INFO(done);
  REQUIRE(done.status == 0);
}

/// A CA in the folder of a first node, and folders for two more nodes and a client.
class identities {
public:
  identities() {
    must({"init", "--data", folder("n0"), "--name", "n0"});
    for (std::string name : {"n1", "n2"})
      must({"ca", "issue", "--data", folder("n0"), "--name", name, "--role", "member", "--out",
            folder(name)});
    must({"ca", "issue", "--data", folder("n0"), "--name", "c1", "--role", "client", "--rights",
          "operate", "--out", folder("c1")});
  }

  [[nodiscard]] std::string folder(const std::string& name) const {
    return folder_ / name;
  }

private:
  temporary_folder folder_;
};

} // namespace troupe::test
