#include "troupe/node/swim_thread.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cstddef>
#include <future>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/sealed_swim.hpp"
#include "troupe/net/datagram_socket.hpp"
#include "troupe/security/key_agreement.hpp"
#include "troupe/security/key_pair.hpp"

namespace swim_thread_test {

using namespace troupe;
using cluster::sealed_swim;
using cluster::swim;

namespace {

/// A member without sockets, which others do not reach, and what its owner is told.
class lone_member {
public:
  /// Returns what was told before a question that is asked now is answered.
  std::size_t told_by_now() {
    std::promise<std::size_t> found;
    thread_->ask([&](sealed_swim&) { found.set_value(told_.size()); });
    return found.get_future().get();
  }

  [[nodiscard]] bool has_told_nothing() const {
    return std::ranges::any_of(told_, [](auto& each) { return each.empty(); });
  }

  /// How often the owner has heard that the node has spoken.
  [[nodiscard]] std::size_t times_it_spoke() const {
    std::size_t found = 0;
    for (auto& all : told_)
      for (auto& each : all)
        found += std::holds_alternative<swim::spoke>(each) ? 1 : 0;
    return found;
  }

  void begin() {
    thread_->begin();
  }

  /// Says so to others, and waits for the end of its thread.
  void stop() {
    thread_->stop();
    thread_.reset();
  }

private:
  cluster::sealed_swim_setup setup() const {
    auto agreement = security::key_agreement::make();
    security::boot_salt salt;
    cluster::offer_of_life offers{id_of(key_.public_half()), 1, {agreement.public_half(), salt}};
    return {
      key_.public_half(), 1, agreement, salt, key_.sign(cluster::to_be_signed(offers)), "", {}};
  }

  const security::key_pair key_ = security::key_pair::make();
  std::vector<sealed_swim::effects> told_; // on the thread
  std::optional<cluster::swim_thread> thread_{
    std::in_place,
    setup(),
    1,
    key_,
    std::vector<net::datagram_socket>{},
    "127.0.0.1:1",
    [this](sealed_swim::effects all) { told_.push_back(std::move(all)); }};
};

} // namespace

TEST_CASE("a question behind an event is answered once all is told that has come of it", "[node]") {
  lone_member one;
  CHECK(one.told_by_now() == 0);
  one.begin();
  CHECK(one.told_by_now() == 1);
  CHECK(one.times_it_spoke() == 1);
  CHECK(one.told_by_now() == 1); // not told again
}

TEST_CASE("the last words of a member are told before its thread ends", "[node]") {
  lone_member one;
  one.begin();
  one.stop();
  CHECK(one.times_it_spoke() == 2);
  CHECK_FALSE(one.has_told_nothing());
}

} // namespace swim_thread_test
