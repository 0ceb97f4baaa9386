#ifndef TROUPE_NODE_IMPL_INSIDE_IPP
#define TROUPE_NODE_IMPL_INSIDE_IPP

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "caf/actor_cast.hpp"
#include "troupe/cluster/departure.hpp"
#include "troupe/cluster/identity_dispute.hpp"
#include "troupe/cluster/membership_log.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/core/caf/print_to_stderr.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/wait.hpp"
#include "troupe/core/departure_report.hpp"
#include "troupe/core/wait_for.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/listeners.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/founding.hpp"
#include "troupe/node/group_part.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/join_desk.hpp"
#include "troupe/node/leader_hint.hpp"
#include "troupe/node/made_agents.hpp"
#include "troupe/node/member_part.hpp"
#include "troupe/node/membership_part.hpp"
#include "troupe/node/node.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/node_shell.hpp"
#include "troupe/node/own_authority.hpp"
#include "troupe/node/own_system.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/services.hpp"
#include "troupe/node/singleton_state.hpp"
#include "troupe/node/swim_thread.hpp"
#include "troupe/node/trust_part.hpp"
#include "troupe/node/unheard_reports.hpp"
#include "troupe/node/voters_client.hpp"
#include "troupe/node/voters_part.hpp"
#include "troupe/router/detail/outbox_file.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/router/router_access.hpp"

namespace troupe {

/// All that a node is made of; its parts are wired in set_up().
struct node::inside {
  inside(node_options given, cluster::data_folder folder, net::listeners opened,
         std::vector<net::datagram_socket> datagrams, net::credentials_ptr proofs,
         std::optional<security::authority> ca, caf::actor_system* sys)
    : options_(std::move(given)),
      data_(std::move(folder)),
      listeners_(std::move(opened)),
      datagrams_(std::move(datagrams)),
      credentials_(std::move(proofs)),
      ca_(data_.path(), data_.self().id, std::move(ca)),
      boot_(std::make_shared<std::atomic<boot_number>>(data_.self().boot)) {
    if (options_.name.empty())
      options_.name
        = credentials_ ? credentials_->self().name : to_string(data_.self().id).substr(0, 8);
    log_ = {options_.name, options_.log};
    if (sys == nullptr) {
      own_system_ = std::make_unique<cluster::own_system<node_config>>();
      print_to_stderr(own_system_->system());
    }
    *rests_ = data_.self().maintenance;
    system_ = sys != nullptr ? sys : &own_system_->system();
    host::client_options how;
    how.on_throw = warn_of_throw();
    clients_.emplace(*system_, how);
  }

  ~inside() {
    stop();
    if (asking_.joinable())
      asking_.join();
    router_.reset();
    clients_.reset();
    shell_ = nullptr;
    end_system(); // before the gate
  }

  [[nodiscard]] std::function<void(const problem&)> warn_of_throw() const {
    return
      [log = log_](const problem& why) { log.warn("a handler of an answer threw: " + why.detail); };
  }

  [[nodiscard]] node_finder finder() const {
    return [peers = peers_, process = system_->node(),
            own = std::make_shared<const std::string>(to_string(data_.self().id))](
             const caf::strong_actor_ptr& from) -> shared_node_id {
      return from && from->node() == process ? own : peers->id_of(from);
    };
  }

  // -- how it starts: start.ipp --------------------------------------------------------------

  problem set_up();

  /// Until it knows the nodes and agents that were there before it, too, or only that it can reach
  /// the services.
  enum class progress : std::uint8_t { knows_others, has_services };
  problem wait_until(progress what, duration wait, const std::stop_token& stop = {});

  /// A try to reach the cluster has ended so.
  problem note_try(const problem& how);

  /// The one actor of this node, see cluster::node_shell.
  void begin_shell();

  problem open_membership_log();
  problem open_outbox();

  /// With what helps there in place of what helps with other files: to move the file of that name
  /// away, and what comes after that.
  static problem of_file(problem why, const std::string& name, const std::string& after);
  static problem of_outbox(problem why);

  /// With keys that no other life has had.
  [[nodiscard]] cluster::sealed_swim_setup life_among_members() const;

  /// From here on this node is a member.
  void begin_membership();

  cluster::member_setup member_setup();

  cluster::membership_setup membership_setup() const;

  /// Of a node with certificates.
  cluster::trust_setup trust_setup() const;

  problem open_gate();

  /// For those who join with a token.
  net::join_desk open_desk();

  /// For those who found a cluster with this node.
  [[nodiscard]] net::founders_desk founders_desk() const;

  /// The shell answers for this node under that name.
  void say_where(const char* called);

  void say_who_i_am(bool is_host);

  /// Those to join at, and those that the data folder remembers.
  [[nodiscard]] std::vector<net::address> addresses() const;

  // -- agents: node.ipp, singletons.ipp ------------------------------------------------------

  static problem check_agent(const agent_id& id, const agent_options& how);

  [[nodiscard]] cluster::singleton_setup singleton_setup(const agent_id& id,
                                                         const singleton_options& how,
                                                         cluster::singleton_maker make,
                                                         bool takes_info) const;

  // -- the services, and the group that keeps them: seats.ipp --------------------------------

  problem open_group();

  problem take_seat();

  /// Founds the group of a new cluster, with this node as its only voter, and the cluster.
  problem found_group();

  problem host_services();

  /// A cluster is born once: who may found one, but has addresses to join at, asks there first, and
  /// answers others that do so.
  void prepare_founding();

  /// Blocks until it is known that this node founds a cluster. Errors: conflict (it must not).
  problem look_for_cluster();

  /// Founds a cluster together with others, or joins one, on a thread of its own.
  problem begin_founding();

  void found_together(const std::stop_token& stop);

  /// Why no cluster is founded yet; errc::none: for no reason that is known.
  void note_founding(const problem& why);

  void end_founding();

  /// For the way to the cluster, once it is known that there is one.
  void start_search();

  /// Founds a cluster with others, if there is none.
  [[nodiscard]] bool founds_together() const {
    return data_.self().cluster == cluster_id{} && options_.bootstrap_expect > 0
           && !options_.join.empty();
  }

  /// Nobody has heard of the cluster before.
  problem found_cluster();

  /// The founder is the only voter, so it becomes leader at once.
  void await_lead();

  /// Founds a cluster, if nobody is found who has one.
  [[nodiscard]] bool is_founder() const {
    return data_.self().cluster == cluster_id{} && (options_.join.empty() || options_.bootstrap);
  }

  /// Shows and changes the voters.
  [[nodiscard]] cluster::voters_client voters();

  [[nodiscard]] bool services_are_here() {
    std::lock_guard guard{mutex_};
    return is_host_;
  }

  // -- what happens to it: events.ipp --------------------------------------------------------

  /// On the shell.
  cluster::access_events access_events(std::shared_ptr<cluster::hint_board> board);

  void bound(const cluster::service_binding& how);

  /// A node that was to join others, and now leads the cluster of its data folder without a link
  /// to any, has perhaps been given a wrong address.
  void lead_alone();

  /// Keeps what the next start needs, when it is new.
  void remember(const cluster::service_binding& how);

  /// On the shell, which writes the data folder. Remembers it before anybody is told.
  void maintain(bool on, const done_handler& done);
  /// Says whether it rests: in maintenance, or while it leaves. On the shell.
  void rest_as_said(const done_handler& done);

  /// The cluster has heard of a later life of this node. On the shell.
  void rise_above(boot_number heard);

  void tell_router(const net::link_ptr& which, bool is_full);

  /// Calls `then` with what this node knows of its cluster, on any thread.
  void show(std::function<void(const cluster::node_view&)> then) const;

  void show_group(cluster::node_view seen,
                  std::function<void(const cluster::node_view&)> then) const;

  // -- how it leaves and ends: leave.ipp -----------------------------------------------------

  /// Has another node lead, if this one does.
  void hand_over_lead(duration within) const;

  /// Its swim_thread ends after the part that uses it.
  void end_membership();

  void end_shell();

  void stop();

  /// As node::leave(). Calls `turn_away` once callers have to hear that the node ends.
  result<departure_report> leave(const leave_options& how, const std::function<void()>& turn_away);

  using departure_handler = std::function<void(const result<departure_report>&)>;

  /// Others want this node to leave: gives its vote up on a thread of its own, tells the program,
  /// and calls `done` on any thread once it knows what it leaves behind, or that it stays. On the
  /// shell.
  void ask_to_leave(cluster::departure::leave what, departure_handler done);

  void end_ask();

  [[nodiscard]] cluster::departure::leave wish_to_leave(const leave_options& how, bool hosts_alone,
                                                        const kept_messages& kept) const;

  [[nodiscard]] departure_report named(departure_report what) const;

  /// Blocks until the router has counted them.
  kept_messages kept();

  /// Runs one call of the departure on this thread, stage by stage, and returns what it ends with.
  cluster::departure::over depart(cluster::departure::event what,
                                  const std::function<void()>& turn_away = {});

  /// Answers those who asked, and returns what the caller has to do.
  std::optional<cluster::departure::effect> step_departure(request_id id,
                                                           cluster::departure::event what);

  cluster::departure::over go_on_departing(request_id id, cluster::departure::effect first,
                                           const std::function<void()>& turn_away = {});

  problem carry_out(const cluster::departure::run& what,
                    const std::function<void()>& turn_away_others);

  /// Those made here, and in an actor system of the node's own, which ends only after its
  /// actors, all that were given.
  void end_all_agents(duration within);

  /// Names agents, for people.
  static std::string listed(const std::vector<agent_id>& agents);

  /// Another node becomes a voter in place of this one. Waits up to `within` for that. Errors:
  /// those of voters_client::change().
  problem resign(bool force, duration within);

  void end_own_services();

  /// Messages that were accepted and have not ended, and dead letters.
  void say_what_is_left();

  void end_own_router();

  using accepted_part = router::detail::confirm_desk::part;

  /// Waits until those of the messages that it has accepted have ended.
  problem deliver_accepted(const accepted_part& which, duration within);

  void end_answer_path();

  void end_system();

  /// An actor system waits for its actors, and some have nobody who would end them: those that
  /// peers have spawned here without an owner.
  void end_actors();

  /// Whether the actor system waits for it.
  static bool is_counted(const caf::strong_actor_ptr& which);

  template <class Condition>
  static bool wait_until(Condition condition, duration wait) {
    auto deadline = std::chrono::steady_clock::now() + wait;
    // Most have ended, or do so within a few switches of threads.
    std::chrono::microseconds pause{50};
    while (!condition()) {
      if (std::chrono::steady_clock::now() >= deadline)
        return false;
      std::this_thread::sleep_for(pause);
      pause = std::min(pause * 2, std::chrono::microseconds{2'000});
    }
    return true;
  }

  /// Whether the node cannot end on the thread that asks, as its end waits for that.
  [[nodiscard]] bool is_on_own_thread() const {
    return own_system_ && own_system_->is_on_this_thread();
  }

  // -- who it is -----------------------------------------------------------------------------

  [[nodiscard]] net::address own_address() const {
    auto where = options_.advertise.value_or(net::address{options_.listen.host, port_});
    if (where.port == 0)
      where.port = port_;
    return where;
  }

  [[nodiscard]] caf::strong_actor_ptr entry() const {
    return caf::actor_cast<caf::strong_actor_ptr>(router_->handle());
  }

  // -- jobs --------------------------------------------------------------------------

  template <class Job>
  static void run_on_router(const caf::weak_actor_ptr& where, Job job) {
    if (auto there = where.lock())
      run_on_state<router::router_state>(caf::actor_cast<caf::actor>(there), std::move(job));
  }

  template <class Job>
  static void run_on_member(const caf::weak_actor_ptr& where, Job job) {
    if (auto there = where.lock())
      cluster::run_on_part<cluster::member_part>(caf::actor_cast<caf::actor>(there),
                                                 std::move(job));
  }

  /// What needs no part of it, and not two threads at once.
  template <class Job>
  void on_shell(Job job) const {
    run_on(caf::actor_cast<caf::strong_actor_ptr>(shell_), std::move(job));
  }

  template <class Job>
  void on_member(Job job) const {
    cluster::run_on_part<cluster::member_part>(shell_, std::move(job));
  }

  template <class Job>
  void on_trust(Job job) const {
    cluster::run_on_part<cluster::trust_part>(shell_, std::move(job));
  }

  template <class Job>
  void on_membership(Job job) const {
    cluster::run_on_part<cluster::membership_part>(shell_, std::move(job));
  }

  template <class Job>
  void on_access(Job job) const {
    cluster::run_on_part<cluster::access_part>(shell_, std::move(job));
  }

  template <class Job>
  void on_voters(Job job) const {
    cluster::run_on_part<cluster::voters_part>(shell_, std::move(job));
  }

  /// Runs `job` on the router and waits for what it returns; `if_gone` if the router has ended.
  template <class Result, class Job>
  Result on_router(Job job, Result if_gone, Result if_late) {
    return wait_for<Result>(
      [&](auto done) {
        router_->run([done = std::move(done), job = std::move(job)](router::router_state& state) {
          done(job(state));
        });
      },
      default_wait * 3, [&](unheard how) { return how == unheard::gone ? if_gone : if_late; });
  }

  /// Nobody leads, and it is known why.
  [[nodiscard]] bool is_led_by_nobody() {
    std::lock_guard guard{mutex_};
    return !joined_ && why_;
  }

  /// Waits until what `begin` was given is called, or is gone with the actor that had it.
  template <class Begin>
  static problem wait_until_done(Begin begin, duration within = default_wait * 3) {
    return wait_here<problem>(std::move(begin), within,
                              "the node gave no answer in time; it is stopping, or overloaded");
  }

  template <class Value, class Begin>
  static result<Value> wait_for_result(Begin begin, duration wait) {
    return wait_here<result<Value>>(std::move(begin), wait,
                                    "no answer in time; retry, or wait longer");
  }

  template <class Answer, class Begin>
  static Answer wait_here(Begin begin, duration wait, const char* too_late) {
    return wait_for<Answer>(std::move(begin), wait, [too_late](unheard how) -> Answer {
      if (how == unheard::late)
        return problem{errc::timed_out, too_late};
      return problem{errc::outcome_unknown,
                     "this node was stopped meanwhile; whether it was done is not known"};
    });
  }

  static constexpr auto log_file = "group.db";
  static constexpr auto outbox_name = "outbox.db";
  /// For actors to end that have nothing to wait for.
  static constexpr duration longest_end = std::chrono::seconds{2};

  /// What the log calls it while the services are out of reach.
  static constexpr const char* no_way = "no way to the cluster";

  node_options options_;
  cluster::node_log log_;
  /// Those of the gate once more. Of a node that leaves they end behind its data folder: so whoever
  /// connects there, and whom nobody accepts, sees when the folder is free.
  std::vector<net::socket> kept_listeners_;
  cluster::data_folder data_;
  net::listeners listeners_;                    // empty once the gate accepts
  std::vector<net::datagram_socket> datagrams_; // empty once this node is a member
  const net::credentials_ptr credentials_;      // null: its links are insecure
  cluster::own_authority ca_;
  const std::shared_ptr<net::peer_book> peers_ = std::make_shared<net::peer_book>();
  std::shared_ptr<std::atomic<boot_number>> boot_; // as in data_, which only the shell reads
  std::optional<cluster::join_desk> desk_;         // outlives the gate
  std::shared_ptr<cluster::founding> founding_; // outlives the gate; null: nothing is to be asked
  std::unique_ptr<net::gate> gate_;             // outlives the system
  std::unique_ptr<cluster::own_system<node_config>> own_system_;
  caf::actor_system* system_ = nullptr;
  std::optional<cluster::service_clients> clients_;
  /// What this node knows of others, for look-ups on any thread.
  const std::shared_ptr<registry::local_records> records_
    = std::make_shared<registry::local_records>();
  std::optional<router::router_access> router_;
  /// A node_shell, which ends before all that its parts use.
  caf::actor shell_;
  /// Of node_options::membership_log; its thread writes it.
  std::ofstream membership_file_;
  std::optional<cluster::membership_log> membership_log_;
  std::unique_ptr<cluster::swim_thread> swim_;
  /// Of a node without a data folder that has founded its cluster.
  std::optional<cluster::hosted_services> services_;
  /// Of a node with a data folder. Taken away under the lock: leave() looks at it on any thread.
  std::unique_ptr<cluster::group_part> group_;
  std::uint16_t port_ = 0;
  std::mutex departing_;
  cluster::departure departure_{{.agents_end_within = options_.agents_end_within}}; // by departing_
  std::atomic<request_id> last_departure_ = 0;
  std::map<request_id, departure_handler> askers_; // by departing_
  /// Runs what comes before the program is told; by departing_, how many asks are in progress.
  std::jthread asking_;
  std::size_t asks_ = 0;
  std::condition_variable asks_end_;
  /// Of those who asked: whose report is on the way. Not with this object: see set_up().
  const std::shared_ptr<cluster::unheard_reports> unheard_reports_
    = std::make_shared<cluster::unheard_reports>();
  std::atomic<bool> stopped_ = false;
  std::atomic<bool> router_has_ended_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool joined_ = false;
  /// Its data folder was of a cluster when it started.
  const bool had_cluster_ = data_.self().cluster != cluster_id{};
  /// On the shell, both.
  bool has_led_ = false;
  bool was_bound_ = false;
  bool caught_up_ = false;
  bool is_host_ = false;
  caf::strong_actor_ptr voters_; // where the services are, if they are on a group
  bool has_no_voters_ = false;   // as there is no group
  problem why_;                  // why they are nowhere, if that is known
  problem no_way_;               // of the last try to reach the cluster
  cluster::identity_dispute dispute_;
  /// Shared with the agents, which may outlive this.
  const std::shared_ptr<cluster::made_agents> agents_ = std::make_shared<cluster::made_agents>();
  /// What workers of this node say when they register.
  std::shared_ptr<std::atomic<bool>> rests_ = std::make_shared<std::atomic<bool>>(false);
  bool is_leaving_ = false; // of the shell
  std::mutex ending_founding_;
  std::jthread founding_thread_; // last: it uses all of this
};

} // namespace troupe

#endif
