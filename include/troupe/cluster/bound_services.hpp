#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/finder_requests.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/cluster/service_names.hpp"
#include "troupe/core/flaw.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// The node where the services of a cluster are bound, and whether it still is there and has them:
/// one question is held there all the time, and one more asked when somebody waits for an answer.
/// Part of `finder`. Not thread-safe. Cost of a call: O(services).
class bound_services {
public:
  using effects = finder_effects::effects;

  struct place {
    net::connection_id link = 0;
    net::address where{};
    std::map<std::string, service_handle> handles{};
    /// What was heard there last.
    std::uint64_t revision = 0;
  };

  /// What an answer of that node says.
  enum class word : std::uint8_t {
    /// They are there, or it has too much to do to say.
    stays,
    /// It hangs, or its link does.
    silent,
    /// They are not there, or are other actors.
    moved
  };

  /// @pre both outlive this
  bound_services(const finder_options& options, finder_requests& requests)
    : options_(options), requests_(requests) {}

  bound_services(const bound_services&) = delete;
  bound_services& operator=(const bound_services&) = delete;

  /// How the services are reached by what their node says of them; nothing if some are missing.
  /// Only clusters that keep their services on several nodes have voters.
  [[nodiscard]] static std::optional<finder_binding>
  made_of(net::connection_id link, const net::address& where, const whereabouts& what) {
    finder_binding how{.link = link, .where = where, .has_voters = what.all.contains(voters_name)};
    auto take = [&](const std::string& service) {
      auto found = what.all.find(service);
      if (found == what.all.end() || found->second == 0)
        return false;
      how.handles[service] = found->second;
      if (auto record = what.records.find(service); record != what.records.end())
        how.records.insert(*record);
      return true;
    };
    if (!std::ranges::all_of(cluster_services, take) || (how.has_voters && !take(voters_name)))
      return std::nullopt;
    for (auto& [called, handle] : what.all)
      if (!is_ours(called))
        take(called);
    return how;
  }

  // -- where it is -------------------------------------------------------------------------

  explicit operator bool() const {
    return place_.has_value();
  }

  /// @pre there is one
  [[nodiscard]] const place& at() const {
    return *place_;
  }

  [[nodiscard]] bool is_over(net::connection_id link) const {
    return place_ && place_->link == link;
  }

  [[nodiscard]] bool is_at(const std::optional<net::address>& where) const {
    return place_ && place_->where == where;
  }

  /// Whether a group of voters keeps them.
  /// @pre there is one
  [[nodiscard]] bool have_voters() const {
    return place_->handles.contains(voters_name);
  }

  /// Returns whether that is another than before.
  bool bind(const finder_binding& how, std::uint64_t revision) {
    auto is_news = !place_ || place_->link != how.link || place_->handles != how.handles;
    place_ = {how.link, how.where, how.handles, revision};
    return is_news;
  }

  void unbind() {
    place_.reset();
    stop_asking();
  }

  // -- what its node says ------------------------------------------------------------------

  /// @pre there is one
  void watch(time_point now, effects& out) {
    if (watch_)
      return;
    auto wait = std::max(options_.check_every, options_.check_at_rest);
    watch_ = requests_.ask(now, place_->link, place_->where, place_->revision, wait,
                           wait + patience, out);
  }

  /// Is it there? Nothing if that is being asked.
  /// @pre there is one
  void doubt(time_point now, effects& out) {
    if (!doubt_)
      doubt_ = requests_.ask(now, place_->link, place_->where, place_->revision, {}, patience, out);
  }

  void stop_asking() {
    watch_.reset();
    doubt_.reset();
  }

  [[nodiscard]] bool asks(request_id id) const {
    return is_asked(watch_, id) || is_asked(doubt_, id);
  }

  /// @pre asks(id)
  word heard(time_point now, request_id id, const result<whereabouts>& what) {
    auto is_watch = is_asked(watch_, id);
    (is_watch ? watch_ : doubt_).reset();
    if (!what) {
      if (what.error().code != errc::busy)
        return word::silent;
      if (is_watch)
        watch_ = inquiry{
          .link = place_->link, .where = place_->where, .due = now + options_.check_every};
      return word::stays;
    }
    if ((what->handle == 0 || what->handle != place_->handles.at(cluster_services.front()))
        && planted_flaw != flaw::earlier_leader_believed)
      return word::moved;
    if (is_watch)
      place_->revision = what->revision;
    return word::stays;
  }

  [[nodiscard]] const std::optional<inquiry>& watched() const {
    return watch_;
  }

  [[nodiscard]] const std::optional<inquiry>& doubted() const {
    return doubt_;
  }

  /// The held question, if its time is over.
  std::optional<inquiry> late_watch(time_point now) {
    return find_late(watch_, now);
  }

  std::optional<inquiry> late_doubt(time_point now) {
    return find_late(doubt_, now);
  }

  /// What is wrong with its state, in words; empty if all is well. `is_up`: whether a link is.
  template <class IsUp>
  [[nodiscard]] std::vector<std::string> flaws(IsUp is_up) const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    expect(!place_ || is_up(place_->link), "the services are bound over a link that is down");
    for (auto* each : {&watch_, &doubt_}) {
      expect(!*each || is_over((*each)->link), "another node than theirs is watched");
      expect(is_open_or_none(*each, is_up), "a question is lost");
    }
    return found;
  }

private:
  /// A node that has not said in time that it is there is passed over after so much more.
  static constexpr duration patience = std::chrono::milliseconds{500};

  const finder_options& options_;
  finder_requests& requests_;
  std::optional<place> place_;
  /// Open at the same time: the question that is held there, and the one that somebody waits for.
  std::optional<inquiry> watch_;
  std::optional<inquiry> doubt_;
};

} // namespace troupe::cluster
