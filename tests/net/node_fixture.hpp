#pragma once

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/io/middleman.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/net/gate.hpp"

namespace troupe::test {

/// What the entry points of these tests understand.
struct greet_request {
  std::string text;
};

struct greet_reply {
  std::string text;
};

/// Never answered.
struct wait_request {
  std::uint32_t number = 0;
};

/// A message inside a message.
struct boxed_message {
  caf::message inside;
};

/// Answered with a letter for each handle: 'x', or '-' for one that is empty.
struct show_handles {
  std::vector<caf::strong_actor_ptr> all;
  caf::actor one;
};

template <class Inspector>
bool inspect(Inspector& f, show_handles& x) {
  return f.object(x).fields(f.field("all", x.all), f.field("one", x.one));
}

/// A message that cannot be written, as its type finds out late.
struct unwritable {
  std::string text;
};

template <class Inspector>
bool inspect(Inspector& f, unwritable& x) {
  return f.object(x).fields(f.field("text", x.text)) && Inspector::is_loading;
}

template <class Inspector>
bool inspect(Inspector& f, boxed_message& x) {
  return f.object(x).fields(f.field("inside", x.inside));
}

template <class Inspector>
bool inspect(Inspector& f, greet_request& x) {
  return f.object(x).fields(f.field("text", x.text));
}

template <class Inspector>
bool inspect(Inspector& f, greet_reply& x) {
  return f.object(x).fields(f.field("text", x.text));
}

template <class Inspector>
bool inspect(Inspector& f, wait_request& x) {
  return f.object(x).fields(f.field("number", x.number));
}

} // namespace troupe::test

CAF_BEGIN_TYPE_ID_BLOCK(net_test, caf::first_custom_type_id)

  CAF_ADD_TYPE_ID(net_test, (troupe::test::greet_request))
  CAF_ADD_TYPE_ID(net_test, (troupe::test::greet_reply))
  CAF_ADD_TYPE_ID(net_test, (troupe::test::wait_request))
  CAF_ADD_TYPE_ID(net_test, (troupe::test::boxed_message))
  CAF_ADD_TYPE_ID(net_test, (troupe::test::show_handles))
  CAF_ADD_TYPE_ID(net_test, (troupe::test::unwritable))

CAF_END_TYPE_ID_BLOCK(net_test)

namespace troupe::test {

inline node_id node_number(std::uint8_t number) {
  node_id result{};
  result.bytes.back() = std::byte{number};
  return result;
}

inline cluster_id cluster_number(std::uint8_t number) {
  cluster_id result{};
  result.bytes.back() = std::byte{number};
  return result;
}

inline net::endpoint loopback(std::uint16_t port = 0, const std::string& host = "127.0.0.1") {
  auto found = net::resolve({host, port});
  REQUIRE(found);
  return found->front();
}

struct net_config : caf::actor_system_config {
  explicit net_config(duration heartbeat = std::chrono::milliseconds{500}) {
    init_messages<caf::id_block::net_test, caf::id_block::troupe_core, caf::id_block::troupe_net>();
    caf::io::middleman::init_global_meta_objects();
    net::configure_links(*this);
    set("caf.middleman.heartbeat-interval", caf::timespan{heartbeat});
    set("caf.scheduler.max-threads", 1);
  }
};

/// Counts what it is greeted.
inline caf::behavior entry_point(caf::event_based_actor* self, std::string name,
                                 std::shared_ptr<std::atomic<int>> greeted) {
  auto open = std::make_shared<std::vector<caf::response_promise>>();
  return {
    [name, greeted](const greet_request& what) {
      ++*greeted;
      return greet_reply{what.text + ", says " + name};
    },
    [](const show_handles& what) {
      greet_reply said;
      for (auto& each : what.all)
        said.text += each ? 'x' : '-';
      said.text += what.one ? 'x' : '-';
      return said;
    },
    [](const std::vector<caf::actor>& all) { return greet_reply{std::to_string(all.size())}; },
    [](std::int32_t, const caf::strong_actor_ptr& it) { return greet_reply{it ? "x" : "-"}; },
    [self, open](const wait_request&) -> caf::result<greet_reply> {
      open->push_back(self->make_response_promise());
      return caf::delegated<greet_reply>{};
    },
  };
}

struct node_options {
  std::uint8_t node = 1;
  std::uint64_t boot = 1;
  std::uint8_t cluster = 7;
  net::role as = net::role::member;
  net::link_options links = {};
  net::credentials_ptr credentials = {};
  net::message_rules_ptr rules = {};
  net::join_desk joins = {};
  duration heartbeat = std::chrono::milliseconds{500};
};

/// A process with links, as far as that can be had inside one process.
class test_node {
public:
  explicit test_node(node_options options = {})
    : cfg_(options.heartbeat),
      entry_(sys_.spawn(entry_point, std::to_string(options.node), greeted_)) {
    net::hello self;
    self.as = options.as;
    self.node = options.credentials ? options.credentials->self().node : node_number(options.node);
    self.boot = options.boot;
    self.cluster = cluster_number(options.cluster);
    net::link_events events;
    events.on_up = [this](const net::link_ptr& which) {
      change([&] {
        up_[which->number()] = which;
        ++ups_;
      });
    };
    events.on_down = [this](const net::link_ptr& which, const std::string& why) {
      change([&] {
        up_.erase(which->number());
        ++downs_;
        last_reason_ = why;
      });
    };
    events.on_silent = [this](const net::link_ptr&) { change([&] { ++silences_; }); };
    events.on_full = [this](const net::link_ptr&) { change([&] { ++fulls_; }); };
    events.on_drained = [this](const net::link_ptr&) { change([&] { ++drains_; }); };
    events.on_dropped = [this](const net::link_ptr&, const std::string& why) {
      change([&] { dropped_.push_back(why); });
    };
    events.on_refused
      = [this](const std::string& line) { change([&] { refusals_.push_back(line); }); };
    events.on_adopted = [this](const cluster_id& cluster) { change([&] { adopted_ = cluster; }); };
    options.links.insecure = !options.credentials;
    auto made = net::gate::start(sys_, self, caf::actor_cast<caf::strong_actor_ptr>(entry_), events,
                                 options.links,
                                 {options.credentials, options.rules, peers_, true, options.joins});
    REQUIRE(made);
    gate_ = std::move(*made);
  }

  ~test_node() {
    stop();
  }

  void stop() {
    gate_->stop();
    change([&] { up_.clear(); });
    caf::anon_send_exit(std::exchange(entry_, nullptr), caf::exit_reason::kill);
  }

  net::gate& gate() {
    return *gate_;
  }

  caf::actor_system& system() {
    return sys_;
  }

  net::endpoint listen(const std::string& host = "127.0.0.1") {
    auto port = gate_->listen(loopback(0, host));
    REQUIRE(port);
    return loopback(*port, host);
  }

  std::future<result<net::link_ptr>> start_dial(const net::endpoint& where,
                                                std::optional<node_id> who = {}) {
    auto done = std::make_shared<std::promise<result<net::link_ptr>>>();
    gate_->dial({where}, std::move(who),
                [done](result<net::link_ptr> got) { done->set_value(std::move(got)); });
    return done->get_future();
  }

  result<net::link_ptr> dial(const net::endpoint& where, std::optional<node_id> who = {}) {
    auto pending = start_dial(where, std::move(who));
    REQUIRE(pending.wait_for(std::chrono::seconds{20}) == std::future_status::ready);
    return pending.get();
  }

  template <class Condition>
  [[nodiscard]] bool wait_until(Condition condition,
                                std::chrono::seconds limit = std::chrono::seconds{20}) {
    std::unique_lock guard{mutex_};
    return changed_.wait_for(guard, limit, condition);
  }

  /// Waits until there are `count` links that are up.
  [[nodiscard]] bool wait_for_links(std::size_t count) {
    return wait_until([&] { return up_.size() == count; });
  }

  net::link_ptr only_link() {
    std::lock_guard guard{mutex_};
    REQUIRE(up_.size() == 1);
    return up_.begin()->second;
  }

  [[nodiscard]] std::vector<net::link_ptr> links() {
    std::lock_guard guard{mutex_};
    std::vector<net::link_ptr> all;
    for (auto& [number, which] : up_)
      all.push_back(which);
    return all;
  }

  [[nodiscard]] int ups() {
    std::lock_guard guard{mutex_};
    return ups_;
  }

  [[nodiscard]] int downs() {
    std::lock_guard guard{mutex_};
    return downs_;
  }

  /// How often a link was said to be silent.
  [[nodiscard]] int silences() {
    std::lock_guard guard{mutex_};
    return silences_;
  }

  /// Waits until that was said more than `count` times.
  [[nodiscard]] bool wait_for_silence(int count) {
    return wait_until([&] { return silences_ > count; });
  }

  /// Waits until a link has been full; it may have drained since.
  [[nodiscard]] bool wait_until_full() {
    return wait_until([&] { return fulls_ > 0; });
  }

  /// Waits until no link is full.
  [[nodiscard]] bool wait_until_drained() {
    return wait_until([&] { return drains_ == fulls_; });
  }

  [[nodiscard]] std::string last_reason() {
    std::lock_guard guard{mutex_};
    return last_reason_;
  }

  /// How many messages have come to its entry point from others.
  [[nodiscard]] int greeted() const {
    return *greeted_;
  }

  /// Lines for the operator about refused connections.
  [[nodiscard]] std::vector<std::string> refusals() {
    std::lock_guard guard{mutex_};
    return refusals_;
  }

  /// Why messages of peers were dropped.
  [[nodiscard]] std::vector<std::string> dropped() {
    std::lock_guard guard{mutex_};
    return dropped_;
  }

  [[nodiscard]] std::shared_ptr<net::peer_book> peers() const {
    return peers_;
  }

  [[nodiscard]] std::optional<cluster_id> adopted() {
    std::lock_guard guard{mutex_};
    return adopted_;
  }

  /// Returns what the entry point at the other end of `which` says, or the error.
  std::string greet(const net::link_ptr& which, const std::string& text = "hello") {
    return ask(which, std::chrono::seconds{10}, greet_request{text});
  }

  template <class... Ts>
  std::string ask(const net::link_ptr& which, std::chrono::nanoseconds wait, const Ts&... what) {
    caf::scoped_actor self{sys_};
    std::string result;
    self->request(caf::actor_cast<caf::actor>(which->entry_point()), wait, what...)
      .receive([&](const greet_reply& reply) { result = reply.text; },
               [&](const caf::error& why) { result = "error: " + to_string(why); });
    return result;
  }

private:
  template <class Change>
  void change(Change make) {
    std::lock_guard guard{mutex_};
    make();
    changed_.notify_all();
  }

  net_config cfg_;
  caf::actor_system sys_{cfg_};
  const std::shared_ptr<std::atomic<int>> greeted_ = std::make_shared<std::atomic<int>>(0);
  caf::actor entry_;
  const std::shared_ptr<net::peer_book> peers_ = std::make_shared<net::peer_book>();
  std::vector<std::string> dropped_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<net::connection_id, net::link_ptr> up_;
  int ups_ = 0;
  int downs_ = 0;
  int silences_ = 0;
  int fulls_ = 0;
  int drains_ = 0;
  std::string last_reason_;
  std::vector<std::string> refusals_;
  std::optional<cluster_id> adopted_;
  std::unique_ptr<net::gate> gate_;
};

} // namespace troupe::test
