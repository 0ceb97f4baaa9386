#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "troupe/cluster/finder_requests.hpp"
#include "troupe/cluster/finder_types.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/types.hpp"

namespace troupe::cluster {

/// The first node that answers: while the services are out of reach it is asked to say at once
/// where they are, or why they are nowhere. Part of `finder`. Not thread-safe. Cost of a call:
/// O(1).
class finder_contact {
public:
  using effects = finder_effects::effects;

  struct node {
    net::connection_id link = 0;
    net::address where{};
    std::uint64_t revision = 0;
  };

  /// What follows from its answer.
  enum class word : std::uint8_t {
    /// It has too much to do to say anything.
    busy,
    /// It does not answer.
    silent,
    /// It has said the same before of where they are.
    old_news,
    news
  };

  /// @pre both outlive this
  finder_contact(const finder_options& options, finder_requests& requests)
    : options_(options), requests_(requests) {}

  finder_contact(const finder_contact&) = delete;
  finder_contact& operator=(const finder_contact&) = delete;

  explicit operator bool() const {
    return node_.has_value();
  }

  /// @pre there is one
  [[nodiscard]] const node& who() const {
    return *node_;
  }

  [[nodiscard]] bool is_over(net::connection_id link) const {
    return node_ && node_->link == link;
  }

  /// The node at the other end answers, and has said so much. One that did before stays the
  /// contact: returns whether this is another.
  bool meet(net::connection_id link, const net::address& where, std::uint64_t revision,
            effects& out) {
    if (node_)
      return false;
    node_ = {link, where, revision};
    out.emplace_back(finder_effects::met{link, where});
    return true;
  }

  void part() {
    node_.reset();
    question_.reset();
  }

  /// Asks it, if there is one and it is not asked.
  void listen(time_point now, effects& out) {
    if (node_ && !question_)
      question_
        = requests_.ask(now, node_->link, node_->where, node_->revision, options_.check_every,
                        options_.check_every + finder_requests::answer_within, out);
  }

  /// It is not needed. When it is again, it says at once what it knows.
  void rest() {
    question_.reset();
    if (node_)
      node_->revision = 0;
  }

  [[nodiscard]] bool asks(request_id id) const {
    return is_asked(question_, id);
  }

  /// @pre asks(id) of its question
  word heard(time_point now, const result<whereabouts>& what) {
    auto question = *std::exchange(question_, {});
    if (!what && what.error().code == errc::busy) {
      question_ = inquiry{
        .link = question.link, .where = question.where, .due = now + options_.check_every};
      return word::busy;
    }
    if (!what)
      return word::silent;
    node_->revision = what->revision;
    return what->revision == question.known ? word::old_news : word::news;
  }

  [[nodiscard]] const std::optional<inquiry>& question() const {
    return question_;
  }

  /// Its question, if the time of that is over.
  std::optional<inquiry> late(time_point now) {
    return find_late(question_, now);
  }

  /// What is wrong with its state, in words; empty if all is well. `is_up`: whether a link is.
  template <class IsUp>
  [[nodiscard]] std::vector<std::string> flaws(IsUp is_up) const {
    std::vector<std::string> found;
    auto expect = [&found](bool holds, const char* what) {
      if (!holds)
        found.emplace_back(what);
    };
    expect(!node_ || is_up(node_->link), "the contact's link is down");
    expect(!question_ || is_over(question_->link), "another node than the contact is heard");
    expect(is_open_or_none(question_, is_up), "a question is lost");
    return found;
  }

private:
  const finder_options& options_;
  finder_requests& requests_;
  std::optional<node> node_;
  std::optional<inquiry> question_;
};

} // namespace troupe::cluster
