#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "caf/event_based_actor.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/once_all.hpp"
#include "troupe/core/result.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/service_clients.hpp"
#include "troupe/node/service_request.hpp"
#include "troupe/registry/name_types.hpp"

namespace troupe::cluster {

/// Claims, for the agents of a node, names that only one agent of the cluster has, and gives them
/// back. Which names the node holds is in its records; this knows only what is under way. Part of
/// an actor, and used on it only.
class name_claims {
public:
  struct setup {
    std::string node;
    /// The present boot of the node.
    std::function<boot_number()> boot;
    /// Tokens of names that were claimed again.
    std::function<void(const std::vector<registry::names::name_claim>&)> kept;
    /// Another node has the name now.
    std::function<void(const std::string& name, const problem&)> lost;
    /// The service has heard of the node with this boot, later than ours: claim again above it.
    std::function<void(boot_number)> outlived;
    node_log log;
  };

  name_claims(caf::event_based_actor* self, names_client names, setup how)
    : self_(self), names_(std::move(names)), setup_(std::move(how)) {}

  /// Claims a name; `done` gets the token of the claim. Errors: name_taken (another has it),
  /// withdrawn (see withdraw()), and what the service says; then the name is not claimed.
  void claim(const std::string& name, std::function<void(result<std::uint64_t>)> done) {
    claiming_.insert(name);
    ask_service(
      self_, names_, registry::names::claim{{name}, setup_.node, setup_.boot()},
      [this, name, done = std::move(done)](const result<registry::names::claims>& answer) {
        auto wanted = claiming_.erase(name) > 0;
        if (answer && wanted)
          return done(answer->claimed.front().token);
        if (!answer && answer.error().code == errc::in_use)
          rise();
        else if (answer || answer.error().code != errc::name_taken)
          release({name}); // without an answer it may have been granted
        done(answer
               ? problem{errc::withdrawn, "agent '" + name + "' ended before the cluster knew it"}
               : answer.error());
      });
  }

  /// The agent of a claim under way has ended: if it is granted, it is given back.
  void withdraw(const std::string& name) {
    claiming_.erase(name);
  }

  /// The service may have forgotten, or this is a new boot: whoever had a name keeps it, unless
  /// another was faster. Tells which with kept() and lost().
  void claim_again(const std::vector<std::string>& names) {
    for (auto& each : batches(names))
      claim_batch(each);
  }

  /// Gives names back, and calls `done` once the service has heard of all.
  void release(
    const std::vector<std::string>& names, done_handler done = [](const problem&) {}) {
    if (names.empty())
      return done({});
    auto parts = batches(names);
    auto tell = once_all(parts.size(), std::move(done));
    for (auto& each : parts)
      ask_service(self_, names_,
                  registry::names::release{std::move(each), setup_.node, setup_.boot()},
                  [tell](const auto& answer) { tell(answer ? problem{} : answer.error()); });
  }

private:
  /// As name_options::max_batch.
  static constexpr std::size_t max_claims = 1'000;

  static std::vector<std::vector<std::string>> batches(const std::vector<std::string>& names) {
    std::vector<std::vector<std::string>> result;
    for (std::size_t first = 0; first < names.size(); first += max_claims) {
      auto last = std::min(first + max_claims, names.size());
      result.push_back({names.begin() + static_cast<std::ptrdiff_t>(first),
                        names.begin() + static_cast<std::ptrdiff_t>(last)});
    }
    return result;
  }

  void claim_batch(const std::vector<std::string>& names) {
    ask_service(self_, names_, registry::names::claim{names, setup_.node, setup_.boot()},
                [this, names](const result<registry::names::claims>& answer) {
                  if (answer) {
                    setup_.log.settle(not_claimed);
                    return setup_.kept(answer->claimed);
                  }
                  if (answer.error().code == errc::in_use)
                    return rise();
                  if (answer.error().code != errc::name_taken)
                    return setup_.log.complain(not_claimed, answer.error().detail);
                  if (names.size() == 1)
                    return setup_.lost(names.front(), answer.error());
                  for (auto& each : names) // all or none: see which it was
                    claim_batch({each});
                });
  }

  /// Finds out which boot of this node the service has heard of.
  void rise() {
    if (std::exchange(rising_, true))
      return;
    ask_service(self_, names_, registry::names::list_claims{setup_.node, {}, 1},
                [this](const result<registry::names::claim_page>& found) {
                  rising_ = false;
                  if (found && !found->claimed.empty()
                      && found->claimed.front().boot > setup_.boot())
                    setup_.outlived(found->claimed.front().boot);
                });
  }

  static constexpr const char* not_claimed = "names could not be claimed anew";

  caf::event_based_actor* self_;
  names_client names_;
  setup setup_;
  /// Claims under way whose agents still live.
  std::set<std::string> claiming_;
  bool rising_ = false;
};

} // namespace troupe::cluster
