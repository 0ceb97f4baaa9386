#pragma once

#include "cluster/three_voters.hpp"

#include <cstdlib>
#include <optional>
#include <string>
#include <utility>

namespace troupe::test {

/// Sets a variable of the environment, which processes of the test inherit, until it ends.
class variable {
public:
  variable(std::string name, const std::string& value) : name_(std::move(name)) {
    if (auto* before = std::getenv(name_.c_str()); before != nullptr)
      before_ = before;
    ::setenv(name_.c_str(), value.c_str(), 1);
  }

  variable(const variable&) = delete;
  variable& operator=(const variable&) = delete;

  ~variable() {
    if (before_)
      ::setenv(name_.c_str(), before_->c_str(), 1);
    else
      ::unsetenv(name_.c_str());
  }

private:
  std::string name_;
  std::optional<std::string> before_;
};

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
