#pragma once

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

} // namespace troupe::test
