#pragma once

#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/net/address.hpp"

/// How programs of these tests end that cannot go on: with a line "error: ..." where their test
/// reads what they say, and with status 1, whatever other threads do.
namespace troupe::test {

[[noreturn]] inline void fail(const std::string& why) {
  std::cout << "error: " << why << std::endl;
  std::_Exit(1);
}

[[noreturn]] inline void fail(const problem& why) {
  fail(std::string{name_of(why.code)} + ": " + why.detail);
}

template <class T>
T value_of(result<T> what) {
  if (!what)
    fail(what.error());
  return std::move(*what);
}

/// Of a list with commas between them.
inline std::vector<net::address> addresses_in(const std::string& list) {
  std::vector<net::address> all;
  std::istringstream text{list};
  for (std::string each; std::getline(text, each, ',');)
    all.push_back(value_of(net::address::from_string(each)));
  return all;
}

} // namespace troupe::test
