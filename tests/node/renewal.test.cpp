// A node that has a new certificate before its first one ends, by node::start().

#include "node/node_fixture.hpp"
#include "support/temporary_folder.hpp"

#include <chrono>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include "troupe/node/node_log.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/testing/comes_true.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

/// A CA, and nodes whose certificates last as long as a test wants.
class some_nodes {
public:
  void certify(const std::string& name, duration lasts) {
    auto folder = folder_ / name;
    auto file = folder / security::identity_key_file;
    auto key = security::key_pair::load(file);
    if (!key) {
      std::filesystem::create_directory(folder);
      key = security::key_pair::make();
      REQUIRE(key->save(file));
    }
    auto made = ca_.issue(key->public_half(),
                          {name, security::role::member, security::rights::operate, lasts},
                          read_calendar());
    REQUIRE(made);
    REQUIRE(security::put_certificates(folder, ca_.own(), *made));
  }

  node start(const std::string& name, std::function<void(const log_line&)> log = {}) {
    node_options how;
    how.listen = {"127.0.0.1", 0};
    how.identity = folder_ / name;
    how.log = std::move(log);
    how.bootstrap = !first_;
    if (first_)
      how.join = {*first_};
    auto made = node::start(std::move(how));
    INFO((made ? "" : made.error().detail));
    REQUIRE(made);
    if (!first_)
      first_ = net::address{"127.0.0.1", made->port()};
    return *std::move(made);
  }

private:
  test::temporary_folder folder_;
  security::authority ca_ = security::authority::make(folder_ / "ca", read_calendar()).value();
  std::optional<net::address> first_;
};

std::string expiry_of(const node& which) {
  return "the certificate of node " + to_string(which.id()).substr(0, 8) + " has expired";
}

} // namespace

TEST_CASE("a member that was renewed in time is not said to have expired, also by one that has no "
          "link to it",
          "[node][membership]") {
  some_nodes all;
  all.certify("first", 1h);
  all.certify("other", 1h);
  all.certify("renewed", 20s);
  all.certify("late", 21s);
  test::lines said;
  auto first = all.start("first");
  auto other = all.start("other", said);
  auto renewed = all.start("renewed");
  auto late = all.start("late");
  all.certify("renewed", 1h);
  CHECK(testing::comes_true([&] { return said.contain(expiry_of(late)); }, 60s));
  CHECK_FALSE(said.contain(expiry_of(renewed)));
}
