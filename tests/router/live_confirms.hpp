#pragma once

#include "router/named_nodes.hpp"
#include "support/services.hpp"
#include "troupe/router/router_access.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "caf/actor_config.hpp"
#include "caf/actor_system.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/response_promise.hpp"
#include "caf/result.hpp"
#include "caf/scoped_actor.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/router/detail/outbox_file.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/testing/comes_true.hpp"

/// Live routers of two nodes with links between them that end.
namespace confirms_test {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

inline const auto n1 = test::node_named("n1");
inline const auto n2 = test::node_named("n2");
inline const auto n3 = test::node_named("n3");

inline const message_options confirmed{.delivery = delivery_class::confirm};

inline message_options confirmed_for(duration ttl) {
  return {.ttl = ttl, .delivery = delivery_class::confirm};
}

/// Who is behind which handle.
class peer_table {
public:
  void put(const caf::strong_actor_ptr& who, const node_id& node) {
    std::lock_guard guard{mutex_};
    nodes_.insert_or_assign(who->address(), link_peer{node, true, true});
  }

  void put_client(const caf::strong_actor_ptr& who, const node_id& client) {
    std::lock_guard guard{mutex_};
    nodes_.insert_or_assign(who->address(), link_peer{client, false, true});
  }

  link_peer find(const caf::strong_actor_ptr& who) {
    std::lock_guard guard{mutex_};
    auto found = nodes_.find(who->address());
    return found != nodes_.end() ? found->second : link_peer{};
  }

private:
  std::mutex mutex_;
  std::map<caf::actor_addr, link_peer> nodes_;
};

/// One direction of a link: hands on to `target`, as from `back`, until it is cut. What a test
/// wants to see or to lose it says.
struct wire_state {
  caf::strong_actor_ptr target;
  caf::weak_actor_ptr back;
  std::atomic<bool> is_cut{false};
  std::function<bool(const caf::mailbox_element&)> lets_through = [](auto&) { return true; };
};

class wire : public caf::event_based_actor {
public:
  wire(caf::actor_config& cfg, std::shared_ptr<wire_state> state)
    : caf::event_based_actor(cfg), state_(std::move(state)) {}

  caf::behavior make_behavior() override {
    return {[](int) {}};
  }

  using caf::event_based_actor::enqueue;

  bool enqueue(caf::mailbox_element_ptr what, compat::execution_context* context) override {
    if (what->payload.match_elements<caf::exit_msg>())
      return caf::event_based_actor::enqueue(std::move(what), context);
    if (state_->is_cut || !state_->lets_through(*what))
      return true; // lost
    if (what->sender)
      what->sender = state_->back.lock();
    return state_->target->enqueue(std::move(what), context);
  }

private:
  std::shared_ptr<wire_state> state_;
};

/// What an agent has got.
struct seen {
  std::atomic<std::uint64_t> count{0};
  /// That did not come next.
  std::atomic<std::uint64_t> disorder{0};
  std::uint64_t last = 0;
  std::atomic<bool> is_open{true};

  void take(std::uint64_t number) {
    if (std::exchange(last, number) + 1 != number)
      ++disorder;
    ++count;
  }
};

struct live_confirms : test::live_system<caf::id_block::troupe_router> {
  std::shared_ptr<peer_table> peers = std::make_shared<peer_table>();
  caf::scoped_actor self{sys};
  std::vector<caf::actor> agents;
  std::vector<caf::actor> wires;
  std::uint64_t last_link = 0;
  router_options options;
  std::map<node_id, boot_number> boots;
  std::optional<router_access> here;
  std::optional<router_access> there;
  std::shared_ptr<wire_state> out;
  std::shared_ptr<wire_state> back;

  explicit live_confirms(const router_options& given = {}) : options(given) {
    here.emplace(make(n1));
    there.emplace(make(n2));
  }

  ~live_confirms() {
    for (auto& each : agents)
      caf::anon_send_exit(each, caf::exit_reason::kill);
    for (auto* each : {&here, &there})
      if (*each)
        end(**each);
    for (auto& each : wires)
      caf::anon_send_exit(each, caf::exit_reason::kill);
  }

  static void end(const router_access& which) {
    caf::anon_send_exit(which.handle(), caf::exit_reason::user_shutdown);
  }

  router_access make(const node_id& node) {
    auto find = [table = peers](const caf::strong_actor_ptr& who) { return table->find(who); };
    return {sys, node, options,      {[](const node_id&) {}, [](const agent_id&) {}},
            {},  find, ++boots[node]};
  }

  static caf::strong_actor_ptr entry(const router_access& of) {
    return caf::actor_cast<caf::strong_actor_ptr>(of.handle());
  }

  /// A new link between them; the one before is cut.
  void link() {
    auto made = [&](const router_access& to, const node_id& from) {
      auto state = std::make_shared<wire_state>();
      state->target = entry(to);
      wires.push_back(caf::actor{sys.spawn<wire>(state)});
      auto handle = caf::actor_cast<caf::strong_actor_ptr>(wires.back());
      peers->put(handle, from);
      return std::pair{state, handle};
    };
    auto [to_there, handle_there] = made(*there, n2);
    auto [to_here, handle_here] = made(*here, n1);
    to_there->back = caf::actor_cast<caf::weak_actor_ptr>(handle_here);
    to_here->back = caf::actor_cast<caf::weak_actor_ptr>(handle_there);
    out = to_there;
    back = to_here;
    ++last_link;
    up(*here, n2, handle_there);
    up(*there, n1, handle_here);
  }

  void up(const router_access& of, const node_id& peer, const caf::strong_actor_ptr& by) {
    of.run(
      [peer, by, number = last_link](router_state& state) { state.link_up(peer, number, by); });
  }

  void cut() {
    out->is_cut = back->is_cut = true;
    for (auto& [each, other] : {std::pair{&here, n2}, std::pair{&there, n1}})
      if (*each)
        (*each)->run([peer = other, number = last_link](router_state& state) {
          state.link_down(peer, number);
        });
  }

  template <class Job>
  auto on(const router_access& where, Job job) {
    std::promise<decltype(job(std::declval<router_state&>()))> result;
    where.run([&](router_state& state) { result.set_value(job(state)); });
    return result.get_future().get();
  }

  router_statistics statistics(const router_access& where) {
    return on(where, [](router_state& state) { return state.statistics(); });
  }

  template <class Answer, class Question>
  Answer ask(const router_access& where, const Question& what) {
    Answer result;
    self->request(where.handle(), 20s, what)
      .receive([&](const Answer& got) { result = got; },
               [](const caf::error& why) { FAIL(to_string(to_problem(why))); });
    return result;
  }

  /// Of a wish to deliver that dead letter again.
  problem refusal(const router_access& where, const std::string& id) {
    problem result;
    self->request(where.handle(), 20s, redrive_dead_letter{id})
      .receive([](const redrive_receipt&) { FAIL("it was delivered"); },
               [&](const caf::error& why) { result = to_problem(why); });
    return result;
  }

  /// The content of that dead letter as JSON, or why it is not shown.
  result<std::string> shown(const router_access& where, const std::string& id) {
    std::optional<result<std::string>> answer;
    self->request(where.handle(), 20s, show_dead_letter{id})
      .receive([&](const shown_dead_letter& what) { answer = what.json; },
               [&](const caf::error& why) { answer = to_problem(why); });
    return *answer;
  }

  void place(const std::string& id, const node_id& node) {
    REQUIRE(on(*here, [=](router_state& state) {
      state.places().put({id, node});
      return true;
    }));
  }

  template <class Function>
  caf::actor add(const router_access& where, const std::string& id, Function function,
                 const inbox_options& how = {}, bool has_store = false) {
    auto agent = sys.spawn([function]() -> caf::behavior { return {function}; });
    agents.push_back(agent);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
    REQUIRE(
      on(where,
         [=](router_state& state) { return state.add_agent(id, handle, false, how, has_store); })
        .code
      == errc::none);
    return agent;
  }

  std::shared_ptr<seen> add_counting(const router_access& where, const std::string& id) {
    auto all = std::make_shared<seen>();
    add(where, id, [all](std::uint64_t number) { all->take(number); });
    return all;
  }

  problem send(const std::string& agent, std::uint64_t number,
               const message_options& how = confirmed) const {
    return here->send(to_agent(agent), caf::make_message(number), how);
  }

  /// Waits until it is handled.
  std::string post(const std::string& agent, std::uint64_t number,
                   const message_options& how = confirmed, duration wait = 20s) {
    std::string result;
    router::post what{to_agent(agent), {}, wait, caf::make_message(number), how};
    self->request(here->handle(), 30s, std::move(what))
      .receive([&](const send_report& said) { result = std::to_string(said.sent); },
               [&](const caf::error& why) { result = to_string(to_problem(why)); });
    return result;
  }

  bool all_ended() {
    return testing::comes_true([&] { return statistics(*here).confirms == 0; });
  }

  /// This node goes on with what is kept in that file; returns how many messages that is.
  std::size_t go_on(const std::filesystem::path& file) {
    auto opened = std::make_unique<router::detail::outbox_file>(file);
    auto rows = opened->load();
    REQUIRE(rows);
    auto last = rows->empty() ? 0 : rows->back().place;
    auto keeper = std::make_shared<router::detail::outbox_keeper>(std::move(opened), last);
    return on(*here, [&](router_state& state) {
      return state.go_on_with(std::move(keeper), *std::move(rows)).first;
    });
  }

  /// The same in a new life of this node.
  std::size_t restart(const std::filesystem::path& file) {
    end(*here);
    here.emplace(make(n1));
    CHECK(testing::comes_true([&] { // the one before closes the file
      return bool{router::detail::outbox_file{file}.load()};
    }));
    return go_on(file);
  }

  /// The same where the life before is killed now: it goes on with a copy of what is on the disk.
  std::size_t kill(const std::filesystem::path& file, const std::filesystem::path& copy) {
    for (auto* ending : {".mark", "", "-wal"}) // a mark is never ahead
      std::filesystem::copy_file(file.string() + ending, copy.string() + ending);
    end(*here);
    here.emplace(make(n1));
    return go_on(copy);
  }

  /// An agent of this node that never answers at the number 1, and counts what it gets.
  std::shared_ptr<seen> add_deadly(const std::string& id) {
    auto all = std::make_shared<seen>();
    auto promise = std::make_shared<caf::response_promise>();
    auto agent = sys.spawn([=](caf::event_based_actor* me) -> caf::behavior {
      return {[=](std::uint64_t number) -> caf::result<void> {
        ++all->count;
        if (number != 1)
          return {};
        *promise = me->make_response_promise();
        return *promise;
      }};
    });
    agents.push_back(agent);
    auto handle = caf::actor_cast<caf::strong_actor_ptr>(agent);
    REQUIRE(on(*here, [=](router_state& state) { return state.add_agent(id, handle); }).code
            == errc::none);
    return all;
  }

  /// Returns once it is on the disk.
  problem keep(const std::string& agent, std::uint64_t number,
               std::optional<duration> ttl = {}) const {
    std::promise<problem> accepted;
    here->send(to_agent(agent), caf::make_message(number),
               {.ttl = ttl, .delivery = delivery_class::confirm, .durability = durability::synced},
               [&accepted](const problem& why) { accepted.set_value(why); });
    return accepted.get_future().get();
  }

  /// The same of one whose time is over soon after it was accepted.
  problem keep_briefly(const std::string& agent, std::uint64_t number) const {
    for (duration ttl = 1ms;; ttl *= 2)
      if (auto why = keep(agent, number, ttl); why.code != errc::expired) // before it was accepted
        return why;
  }
};

} // namespace confirms_test
