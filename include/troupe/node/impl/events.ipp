#ifndef TROUPE_NODE_IMPL_EVENTS_IPP
#define TROUPE_NODE_IMPL_EVENTS_IPP

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "troupe/net/gate.hpp"
#include "troupe/node/access_part.hpp"
#include "troupe/node/impl/inside.ipp"
#include "troupe/node/leader_hint.hpp"
#include "troupe/node/member_part.hpp"
#include "troupe/node/membership_part.hpp"
#include "troupe/node/voters_part.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/router/router_access.hpp"

/// What happens to a node that runs.
namespace troupe {

inline void node::inside::show(std::function<void(const cluster::node_view&)> then) const {
  cluster::node_view seen;
  seen.node = to_string(data_.self().id);
  seen.name = options_.name;
  auto [links, count] = peers_->list(cluster::node_view::max_links);
  seen.all_links = count;
  for (auto& [who, is_proven] : links)
    seen.links.push_back({to_string(who.node), who.name, std::string{name_of(who.as)},
                          std::string{name_of(who.may)}, is_proven ? "1.3" : "", who.valid_until});
  if (credentials_)
    seen.certificate_valid_until = credentials_->self().valid_until;
  auto refused = gate_ ? gate_->refused() : std::map<net::verdict, std::uint64_t>{};
  seen.refused_duplicates = refused[net::verdict::duplicate];
  seen.refused_duplicate_ago = gate_ ? gate_->last_refused(net::verdict::duplicate) : std::nullopt;
  on_membership([this, seen = std::move(seen),
                 then = std::move(then)](cluster::membership_part& state) mutable {
    state.show(std::move(seen), [this, then = std::move(then)](cluster::node_view shown) {
      show_group(std::move(shown), then);
    });
  });
}

inline void node::inside::show_group(cluster::node_view seen,
                                     std::function<void(const cluster::node_view&)> then) const {
  on_access([this, seen = std::move(seen), own = to_string(own_address()),
             then = std::move(then)](cluster::access_part& access) mutable {
    access.show(seen, own);
    if (!group_)
      return then(seen);
    on_voters([seen = std::move(seen), votes = access.votes(),
               then = std::move(then)](cluster::voters_part& voters) mutable {
      voters.show([seen = std::move(seen), votes, then = std::move(then)](
                    const cluster::voters_view& group, const problem& why) mutable {
        seen.group = group;
        if (votes || why)
          seen.why = why;
        then(seen);
      });
    });
  });
}

inline void node::inside::tell_router(const net::link_ptr& which, bool is_full) {
  router_->hold_answers(which->number(), is_full);
  router_->run([node = which->peer().node, number = which->number(),
                is_full](router::router_state& state) { state.link_full(node, number, is_full); });
}

inline cluster::access_events
node::inside::access_events(std::shared_ptr<cluster::hint_board> board) {
  return {.bound = [this](const cluster::service_binding& how) { bound(how); },
          .failed =
            [this](const cluster::finder::failed& what) {
              auto said = note_try(what.why);
              clients_->hinder(said);
              if (what.lasts)
                log_.follow(no_way, said);
            },
          .without_quorum =
            [this](const cluster::finder::without_quorum& what) {
              if (!what.is_own) // the seat says it by itself
                log_.follow(cluster::seats_types::no_leader, what.why);
              clients_->refuse(what.why);
              std::lock_guard guard{mutex_};
              why_ = what.why;
            },
          .hint
          = [board = std::move(board)](const cluster::leader_hint& what) { board->tell(what); }};
}

inline void node::inside::bound(const cluster::service_binding& how) {
  if (!how.handles.empty() && !how.is_here)
    remember(how);
  clients_->bind(how.handles, how.records);
  if (!how.handles.empty())
    log_.settle(no_way);
  if (how.is_here)
    lead_alone();
  if (!how.handles.empty() && !std::exchange(was_bound_, true))
    router_->run([](router::router_state& router) { router.finds_others(); });
  auto voters = how.handles.find(cluster::voters_name);
  std::lock_guard guard{mutex_};
  voters_ = voters != how.handles.end() ? voters->second : nullptr;
  has_no_voters_ = !how.has_voters;
  joined_ = !how.handles.empty();
  if (joined_)
    dispute_.joined();
  is_host_ = how.is_here;
  changed_.notify_all();
  if (!joined_)
    return;
  on_member([](cluster::member_part& state) { state.bound(); });
}

inline void node::inside::lead_alone() {
  std::unique_lock guard{mutex_};
  auto why = std::exchange(no_way_, {});
  guard.unlock();
  auto is_alone = had_cluster_ && !options_.join.empty() && gate_->links() == 0;
  if (std::exchange(has_led_, true) || !why || !is_alone)
    return;
  log_.warn("this node leads the cluster that its data folder is of, and has joined none: "
            + why.detail
            + "; if that address in node_options::join is wrong, correct it or "
              "leave it out; to join another cluster, give an empty data folder");
}

inline void node::inside::remember(const cluster::service_binding& how) {
  auto cluster = gate_->self().cluster;
  auto& self = data_.self();
  std::vector<std::string> places{to_string(how.where)};
  for (auto& each : how.others)
    if (auto text = to_string(each); text != places.front() && text != to_string(own_address()))
      places.push_back(std::move(text));
  auto known = [&](auto& place) { return std::ranges::find(self.met, place) != self.met.end(); };
  auto has_more = self.met.size() > places.size(); // where another cluster has answered since
  if (self.cluster == cluster && !has_more && std::ranges::all_of(places, known))
    return;
  if (auto why = data_.belong_to(cluster, self.host, std::move(places)))
    log_.complain("what this node needs for its next start is not kept", why.detail);
}

inline void node::inside::maintain(bool on, const done_handler& done) {
  if (auto why = data_.set_maintenance(on))
    return done(why);
  rest_as_said(done);
}

inline void node::inside::rest_as_said(const done_handler& done) {
  auto on = data_.self().maintenance || is_leaving_;
  *rests_ = on;
  on_member([on, done](cluster::member_part& state) { state.maintain(on, done); });
}

inline void node::inside::rise_above(boot_number heard) {
  if (heard < data_.self().boot)
    return;
  if (auto why = data_.rise_above(heard))
    return log_.complain("this node cannot go above a later start", why.detail);
  *boot_ = data_.self().boot;
  gate_->rise(data_.self().boot);
  // First, as what the member says then is of that life.
  on_membership([how = life_among_members(), seed = random_seed()](
                  cluster::membership_part& state) { state.go_on_as(how, seed); });
  on_member([boot = data_.self().boot](cluster::member_part& state) { state.go_on_as(boot); });
  router_->run([boot = data_.self().boot](router::router_state& state) { state.go_on_as(boot); });
}

} // namespace troupe

#endif
