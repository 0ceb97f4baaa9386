#include "troupe/node/trust_part.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/behavior.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/exit_reason.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "caf/stateful_actor.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/node/init.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/storage/private_file.hpp"
#include "troupe/storage/small_file.hpp"

namespace trust_part_test {

using namespace std::literals;
using namespace troupe;

namespace {

/// An actor that does nothing else.
class lone_keeper {
public:
  lone_keeper(caf::event_based_actor* self, cluster::trust_setup how)
    : trust_(self, std::move(how)) {}

  caf::behavior make_behavior() {
    trust_.begin();
    return caf::behavior{trust_.handlers()};
  }

private:
  cluster::trust_part trust_;
};

/// What keeps the trust of a node, and a member that tells it something.
class keeper_fixture {
public:
  keeper_fixture() {
    is_heard_as(security::role::member);
  }

  /// What this process is to the keeper from now on.
  void is_heard_as(security::role what) {
    peers_->enter(++links_, system_.node(), {.name = "other", .as = what});
  }

  ~keeper_fixture() {
    caf::anon_send_exit(keeper_, caf::exit_reason::user_shutdown);
  }

  [[nodiscard]] std::string list(std::uint64_t number) const {
    return ca_.sign({number, now_, {{"aa", now_}}, {}});
  }

  /// Returns the number that it has then.
  result<std::uint64_t> tell(std::uint64_t number) {
    caf::scoped_actor self{system_};
    result<std::uint64_t> found = problem{errc::timed_out, "no answer"};
    self->request(keeper_, 10s, cluster::tell_revocations{list(number)})
      .receive([&](std::uint64_t has) { found = has; },
               [&](const caf::error& why) { found = to_problem(why); });
    return found;
  }

  [[nodiscard]] std::filesystem::path file() const {
    return folder_ / security::revocation_list_file;
  }

private:
  std::shared_ptr<security::credentials> make() {
    auto key = security::key_pair::make();
    auto issued = ca_.issue(key.public_half(),
                            {"n1", security::role::member, security::rights::use, 24h}, now_);
    REQUIRE(issued);
    REQUIRE(security::put_certificates(folder_.path(), ca_.own(), *issued));
    auto made = security::credentials::load(folder_.path(), std::move(key), now_);
    REQUIRE(made);
    return *made;
  }

  const bool is_initialised_ = (troupe::init(), true);
  test::temporary_folder folder_;
  const wall_time now_ = read_calendar();
  const security::authority ca_ = security::authority::make(folder_ / "ca", now_).value();
  net::connection_id links_ = 0;
  std::shared_ptr<net::peer_book> peers_ = std::make_shared<net::peer_book>();
  caf::actor_system_config config_;
  caf::actor_system system_{config_};
  caf::actor keeper_ = caf::actor_cast<caf::actor>(
    system_.spawn<caf::stateful_actor<lone_keeper>>(cluster::trust_setup{
      folder_.path(), make(), peers_, cluster::node_log{"n1", [](const log_line&) {}}}));
};

} // namespace

TEST_CASE_METHOD(keeper_fixture,
                 "a list that a person puts there stays when a member sends an "
                 "older one",
                 "[node]") {
  REQUIRE(tell(3).value() == 3);
  CHECK(storage::read_small(file(), 1'000'000).value() == list(3));
  REQUIRE(storage::write_private(file(), list(5)));
  CHECK(tell(4).value() == 5);
  CHECK(storage::read_small(file(), 1'000'000).value() == list(5));
}

TEST_CASE_METHOD(keeper_fixture, "lists of revoked certificates are taken of members only",
                 "[node]") {
  is_heard_as(security::role::client);
  auto refused = tell(3);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::denied);
  CHECK_FALSE(std::filesystem::exists(file()));
  is_heard_as(security::role::member);
  CHECK(tell(3).value() == 3);
}

} // namespace trust_part_test
