#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "troupe/core/complaints.hpp"
#include "troupe/core/time.hpp"
#include "troupe/net/greeting.hpp"

namespace troupe::net {

/// Counts the connections that a node refuses, by reason, and complains of each address: when its
/// refusals begin, when the reason changes, and when there was none for a minute, with their
/// number. Complains in the same way of peers whose links it has to end. Remembers a bounded number
/// of addresses and peers; all beyond that bound are complained of as one. Of an address
/// complaints::max_details reasons are named; further ones are counted together.
///
/// Steps like a machine: no clock, and lines go out.
class refusal_log {
public:
  /// Without a refusal for this long it is over.
  static constexpr duration pause = std::chrono::minutes{1};

  /// So many addresses, and as many peers: those of strangers leave no peer without a line.
  explicit refusal_log(std::size_t max_addresses = 1024)
    : refusals_{max_addresses, complaints{max_addresses + 1}},
      ends_{max_addresses, complaints{max_addresses + 1}} {}

  /// A connection from the address `from` was refused. `detail` says more than the reason; may be
  /// empty. Appends the line to log, if any, to `out`.
  void note(time_point now, const std::string& from, verdict why, const std::string& detail,
            std::vector<std::string>& out) {
    tick(now, out);
    ++counts_[why];
    last_[why] = now;
    if (!is_worth_a_line(why))
      return;
    complain(now, refusals_, topic_of(from), topic_of("other addresses"),
             detail.empty() ? std::string{in_words(why)} : detail, out);
  }

  /// A link of `who` had to be ended: it sent what no peer may, or took more than its share.
  /// Appends the line to log, if any, to `out`.
  void note_end(time_point now, const std::string& who, const std::string& why,
                std::vector<std::string>& out) {
    tick(now, out);
    complain(now, ends_, "links of " + who + " are ended", "links of others are ended", why, out);
  }

  /// Lets time pass: appends what is over.
  void tick(time_point now, std::vector<std::string>& out) {
    if (!next_look_ || *next_look_ > now)
      return;
    next_look_.reset();
    for (auto* each : {&refusals_, &ends_}) {
      for (auto& line : each->all.settle_quiet(now - pause))
        out.push_back(std::move(line));
      if (auto since = each->all.quiet_since())
        next_look_ = std::min(next_look_.value_or(*since + pause), *since + pause);
    }
  }

  /// When to call tick(); nothing if there is no need.
  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return next_look_;
  }

  /// How many connections were refused for which reason.
  [[nodiscard]] const std::map<verdict, std::uint64_t>& counts() const {
    return counts_;
  }

  /// When each reason was last the reason.
  [[nodiscard]] const std::map<verdict, time_point>& last() const {
    return last_;
  }

private:
  /// Complaints of one kind: `max_topics` of their own, and one for all beyond.
  struct bounded {
    std::size_t max_topics;
    complaints all;
  };

  void complain(time_point now, bounded& kind, const std::string& topic,
                const std::string& of_others, const std::string& why,
                std::vector<std::string>& out) {
    auto has_room = kind.all.is_open(topic) || kind.all.size() < kind.max_topics;
    if (auto line = kind.all.raise(now, has_room ? topic : of_others, why, without_time(why)))
      out.push_back(*std::move(line));
    if (!next_look_)
      next_look_ = now + pause;
  }

  /// Certificates that are not valid are refused with the time of day, which is another one each
  /// time.
  static std::string without_time(std::string why) {
    constexpr std::string_view before = "this machine's clock says ";
    if (auto found = why.find(before); found != std::string::npos) {
      auto first = found + before.size();
      why.erase(first, std::min(why.find(';', first), why.size()) - first);
    }
    return why;
  }

  static std::string topic_of(const std::string& from) {
    return "connections from " + from + " are refused";
  }

  /// Others are part of normal life: two nodes that dial each other, a node that dials its own
  /// address, two that join each other, a connection that gives way or ends.
  static bool is_worth_a_line(verdict why) {
    return !in_words(why).empty();
  }

  static std::string_view in_words(verdict why) {
    switch (why) {
      case verdict::foreign:
        return "it is of another cluster";
      case verdict::incompatible:
        return "it has no protocol version in common with this node";
      case verdict::bad_greeting:
        return "it is not a troupe node, or nodes with and without certificates were mixed";
      case verdict::timed_out:
        return "it did not greet in time";
      case verdict::unproven:
        return "its certificate does not prove what it says it is";
      case verdict::not_secured:
        return "it did not prove who it is";
      case verdict::not_admitted:
        return "it asked for a certificate without a valid token";
      case verdict::full:
        return "all places for links of its kind, or with its certificate, are taken";
      case verdict::duplicate:
        return "another process with its identity runs: each needs a data folder of its own";
      case verdict::old_boot:
        return "a later start of its node is known: it has an older copy of the folder, or its "
               "process is an earlier one";
      case verdict::admitted:
      case verdict::asked:
      case verdict::go:
      case verdict::no_cluster:
      case verdict::myself:
      case verdict::linked:
      case verdict::greeting:
      case verdict::dialling:
      case verdict::no_relay:
      case verdict::unreachable:
      case verdict::closed:
      case verdict::wrong_node:
      case verdict::crossed:
      case verdict::displaced:
      case verdict::stopped:
      case verdict::denied:
      case verdict::encrypted:
        return {};
    }
    return {};
  }

  bounded refusals_;
  bounded ends_;
  /// No complaint is quiet for long enough before then.
  std::optional<time_point> next_look_;
  std::map<verdict, std::uint64_t> counts_;
  std::map<verdict, time_point> last_;
};

} // namespace troupe::net
