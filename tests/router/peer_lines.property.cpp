// What must hold of the lines of a router on every schedule, judged by a witness that keeps what
// the router would keep and sees events and effects only.

#include "troupe/router/peer_lines.hpp"
#include "router/peer_lines_text.hpp"
#include "support/seeds.hpp"
#include "troupe/core/overloaded.hpp"
#include "troupe/core/random.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/router/waiting_room.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace peer_lines_property {

using namespace std::literals;
using namespace troupe;
using namespace troupe::router;

namespace {

constexpr std::size_t window_bytes = 200;
constexpr std::size_t max_waiting_bytes = 250;
constexpr std::size_t most_letters = 8;  // of a parcel
constexpr std::size_t letter_bytes = 40; // at most
constexpr std::size_t max_turn_letters = 12;
constexpr std::size_t max_visits = 3;

/// Three peers whose links come and go; two of them are asked if a link may rest, one asks.
class world {
public:
  explicit world(random_source random) : random_(random) {
    for (auto* name : {"a", "y", "z"})
      peers_.emplace(test::node_named(name), peer{});
  }

  void run(std::size_t steps) {
    for (std::size_t step = 0; step < steps; ++step)
      take_step();
    // The dust settles: each peer gets a link, and takes all.
    end_turn();
    for (auto& [node, it] : peers_) {
      bring_up(node);
      end_turn();
      step(lines::link_full{node, *it.link, false});
      for (auto round = 0; round < 1'000 && is_waiting(it); ++round)
        receive(node, it);
    }
  }

  /// The first law that was broken; empty: none.
  [[nodiscard]] const std::string& broken() const {
    return broken_;
  }

  [[nodiscard]] bool all_ended() const {
    return lines_.waiting() == 0
           && std::ranges::all_of(letters_, [](const auto& each) { return each.second.ended; })
           && std::ranges::all_of(visits_, [](const auto& each) { return each.second.ended; })
           && std::ranges::all_of(peers_, [](const auto& each) {
                return each.second.room.waiting_bytes() == 0 && !is_waiting(each.second);
              });
  }

  [[nodiscard]] const std::map<std::string, std::size_t>& seen() const {
    return seen_;
  }

private:
  struct letter {
    node_id to{};
    std::size_t bytes = 0;
    std::size_t taken = 0;
    std::uint64_t request = 0;
    /// Its caller was told how it ended.
    bool told = false;
    bool ended = false;
  };

  struct visitor {
    node_id to{};
    std::uint64_t request = 0;
    /// What had been enclosed before.
    std::uint64_t behind = 0;
    bool told = false;
    bool ended = false;
  };

  struct peer {
    std::optional<lines::link_number> link{};
    waiting_room room{max_waiting_bytes};
    /// What lies in parcels that have not gone, by their order.
    std::map<lines::parcel_number, std::vector<std::uint64_t>> parcels{};
    /// On the link, with the mark of each that has one.
    std::vector<std::pair<std::size_t, std::optional<std::uint64_t>>> on_link{};
    std::uint64_t last_sent = 0;
    bool wanted = false;
    bool is_full = false;
    /// This side has asked, or agreed, to send nothing until then.
    std::optional<time_point> asked_until{};
    std::optional<time_point> agreed_until{};
    bool closing = false;
  };

  static bool is_waiting(const peer& it) {
    return !it.parcels.empty();
  }

  [[nodiscard]] bool rests(const peer& it) const {
    return it.closing || it.asked_until > now_ || it.agreed_until > now_;
  }

  /// As it may not have looked at its clock.
  static bool may_rest(const peer& it) {
    return it.closing || it.asked_until || it.agreed_until;
  }

  template <class Iterator>
  static bool has_mark(Iterator from, Iterator to) {
    return std::any_of(from, to, [](auto& each) { return each.second.has_value(); });
  }

  static std::size_t bytes_on_link(const peer& it) {
    std::size_t bytes = 0;
    for (auto& each : it.on_link)
      bytes += each.first;
    return bytes;
  }

  static void forget_link(peer& it) {
    it.is_full = it.closing = false;
    it.asked_until = it.agreed_until = std::nullopt;
    it.on_link.clear();
  }

  void law(bool holds, const std::string& what) {
    if (!holds && broken_.empty())
      broken_ = what;
  }

  // -- what happens --------------------------------------------------------------------

  void take_step() {
    now_ += std::chrono::milliseconds{static_cast<std::int64_t>(random_.below(2'000))};
    auto which = peers_.begin();
    std::advance(which, static_cast<std::ptrdiff_t>(random_.below(peers_.size())));
    auto& [node, it] = *which;
    switch (random_.below(24)) {
      case 0:
      case 1:
        end_turn();
        break;
      case 2:
        bring_up(node);
        break;
      case 3:
        take_down(node, it);
        break;
      case 4:
        if (!random_.one_in(3))
          break;
        it.wanted = false;
        step(lines::link_missed{node});
        break;
      case 5:
        if (!it.link)
          it.wanted = false;
        step(lines::link_failed{node, {errc::unreachable, "nobody answers there"}});
        break;
      case 6:
      case 7: {
        auto full = random_.one_in(3);
        if (it.link)
          it.is_full = full;
        step(lines::link_full{node, it.link.value_or(last_link_), full});
        break;
      }
      case 8:
      case 9:
      case 10:
        receive(node, it);
        break;
      case 11:
        visit(node);
        break;
      case 12:
      case 13:
        tell_a_caller();
        break;
      case 14:
        ask_to_rest(node);
        break;
      case 15:
        answer(node, it);
        break;
      case 16:
        now_ += 12s;
        tick();
        break;
      case 17:
        step(random_.one_in(2) ? lines::keep_links{random_.one_in(4)}
                               : lines::keep_links{false, {node}});
        break;
      default:
        enclose(node, it);
    }
  }

  void enclose(const node_id& node, peer& it) {
    auto bytes = 1 + random_.below(letter_bytes);
    auto taken = bytes + random_.below(10);
    if (!it.room.take(taken)) {
      ++seen_["refused at once"];
      return;
    }
    auto where = lines_.parcel_for(node);
    if (auto& lies = it.parcels[where]; lies.size() == most_letters) {
      step(lines::parcel_full{node});
      where = lines_.parcel_for(node);
    }
    auto request = random_.one_in(2) ? ++last_request_ : 0;
    letters_[++last_letter_] = {node, bytes, taken, request};
    it.parcels[where].push_back(last_letter_);
    ++in_turn_;
    step(lines::enclosed{node, bytes, taken, request});
    if (in_turn_ == max_turn_letters)
      look_at_turn();
  }

  void end_turn() {
    if (!std::exchange(turn_awaited_, false))
      return;
    step(lines::turn_over{});
    look_at_turn();
  }

  /// All has gone out for which there is room.
  void look_at_turn() {
    in_turn_ = 0;
    for (auto& [node, it] : peers_)
      law(!it.link || may_rest(it) || it.is_full || bytes_on_link(it) >= window_bytes
            || !is_waiting(it),
          "at the end of a turn all goes");
  }

  void bring_up(const node_id& node) {
    auto& it = peers_.at(node);
    auto before = it.link;
    it.link = ++last_link_;
    it.wanted = false;
    forget_link(it);
    lost_ = before;
    step(lines::link_up{node, last_link_});
    law(!lost_, "a link that is replaced is lost");
    law(lines_.link_to(node) == last_link_, "the link is the last");
  }

  /// The end of the link, or of one before it.
  void take_down(const node_id& node, peer& it) {
    auto link = it.link && !random_.one_in(3) ? *it.link : random_.below(last_link_ + 1);
    step(lines::link_down{node, link});
  }

  void receive(const node_id& node, peer& it) {
    if (!it.link)
      return;
    auto skips = random_.one_in(4) ? random_.below(3) : 0; // words that the link has dropped
    for (auto each = it.on_link.begin(); each != it.on_link.end(); ++each) {
      if (!each->second)
        continue;
      if (skips > 0 && has_mark(std::next(each), it.on_link.end())) {
        --skips;
        continue;
      }
      auto mark = *each->second;
      it.on_link.erase(it.on_link.begin(), each + 1);
      if (random_.one_in(4))
        step(lines::received{node, *it.link - 1, mark}); // of a link before: it says nothing
      step(lines::received{node, *it.link, mark});
      return;
    }
    step(lines::received{node, *it.link, random_.below(10)}); // one too many
  }

  void visit(const node_id& node) {
    auto request = random_.one_in(2) ? ++last_request_ : 0;
    visits_[++last_visit_] = {node, request, last_letter_};
    step(lines::visit{node, last_visit_, random_.one_in(6), request});
    std::size_t waiting = 0;
    for (auto& [number, each] : visits_)
      waiting += each.to == node && !each.ended ? 1 : 0;
    law(waiting <= max_visits, "visits have a bound");
  }

  /// One of the requests so far has timed out, sent or not.
  void tell_a_caller() {
    if (last_request_ == 0)
      return;
    auto request = 1 + random_.below(last_request_);
    auto tell = [&](auto& all) {
      for (auto& [number, each] : all)
        if (each.request == request) {
          each.told = true;
          step(lines::withdrawn{each.to, request});
          law(each.ended, "what its caller was told of does not wait");
          return;
        }
    };
    tell(letters_);
    tell(visits_);
  }

  void ask_to_rest(const node_id& node) {
    answered_ = false;
    auto link = peers_.at(node).link.value_or(last_link_);
    asked_over_ = random_.one_in(8) ? link - 1 : link;
    step(lines::rest_asked{node, asked_over_});
    law(answered_, "a question is answered at once");
  }

  void answer(const node_id& node, peer& it) {
    if (!it.link)
      return;
    lines::rest_answered what{node, *it.link - random_.below(2), random_.one_in(2)};
    auto says_no = what.link == *it.link && !what.agrees;
    if (says_no)
      it.asked_until.reset();
    step(what);
    if (says_no) // to a question that was due only now
      it.asked_until.reset();
  }

  void step(const lines::event& what) {
    if (random_.one_in(3))
      for (auto& [node, link] : lines_.links())
        if (random_.one_in(3))
          lines_.step(now_, lines::used{node}, out_);
    lines_.step(now_, what, out_);
    watch();
  }

  void tick() {
    lines_.tick(now_, out_);
    watch();
  }

  // -- what it wants done --------------------------------------------------------------

  void watch() {
    for (auto& what : std::exchange(out_, {}))
      troupe::visit([this](const auto& each) { see(each); }, what);
    for (auto& [node, it] : peers_)
      law(it.link || it.wanted || !is_waiting(it),
          "where something waits there is a link or will be");
    for (auto& [number, each] : visits_)
      law(each.ended || may_wait(each), "a visit waits for a link, or for what was before it");
  }

  [[nodiscard]] bool may_wait(const visitor& each) const {
    auto& it = peers_.at(each.to);
    return !it.link || may_rest(it) || std::ranges::any_of(it.parcels, [&](auto& parcel) {
      return !parcel.second.empty() && parcel.second.front() <= each.behind;
    });
  }

  void see(const lines::await_turn&) {
    law(!turn_awaited_, "the end of a turn is awaited once");
    turn_awaited_ = true;
  }

  void see(const lines::want_link& what) {
    auto& it = peers_.at(what.peer);
    law(!it.link && !it.wanted, "a link is wanted once, where there is none");
    it.wanted = true;
    ++seen_["wanted"];
  }

  void see(const lines::send& what) {
    auto& it = peers_.at(what.peer);
    law(it.link == what.link, "a parcel goes over the link there is");
    law(!rests(it) && !it.is_full, "nothing goes over a link that rests or is full");
    it.asked_until = it.agreed_until = std::nullopt;
    law(bytes_on_link(it) < window_bytes, "a window bounds what is on the link");
    auto lies = it.parcels.extract(what.parcel);
    law(bool{lies}, "a parcel goes once");
    if (!lies)
      return;
    law(lies.mapped().size() == what.letters, "all its letters go");
    std::size_t bytes = 0;
    std::vector<std::uint64_t> asked;
    for (auto number : lies.mapped()) {
      auto& each = letters_.at(number);
      law(!each.told, "nothing is sent after its caller was told");
      law(number > it.last_sent, "letters keep their order");
      it.last_sent = number;
      bytes += each.bytes;
      if (each.request != 0)
        asked.push_back(each.request);
    }
    end(lies.mapped(), what.taken);
    law(std::ranges::equal(what.requests, asked, {}, &lines::request::number),
        "its requests are told");
    it.on_link.emplace_back(bytes, what.mark);
    ++seen_["sent"];
  }

  void see(const lines::cut& what) {
    auto& it = peers_.at(what.peer);
    auto& lies = it.parcels[what.parcel];
    auto which = std::ranges::find_if(
      lies, [&](std::uint64_t each) { return letters_.at(each).request == what.request; });
    law(which != lies.end(), "a letter is cut out of its parcel");
    if (which == lies.end())
      return;
    law(letters_.at(*which).told, "a letter is cut whose caller was told");
    law(what.is_last == (lies.size() == 1), "a parcel goes with its last letter");
    end({*which}, what.taken);
    lies.erase(which);
    if (lies.empty())
      it.parcels.erase(what.parcel);
    ++seen_["cut"];
  }

  void see(const lines::refuse& what) {
    auto& it = peers_.at(what.peer);
    law(!it.link && what.why.code == errc::unreachable, "what is refused has no link");
    auto lies = it.parcels.extract(what.parcel);
    law(lies && lies.mapped().size() == what.letters, "a parcel is refused once, all of it");
    if (lies)
      end(lies.mapped(), what.taken);
    ++seen_["refused"];
  }

  void see(const lines::admit& what) {
    auto& it = peers_.at(what.peer);
    law(it.link == what.link && !rests(it), "a visit gets the link there is");
    auto& each = visits_.at(what.visit);
    law(!each.ended && !each.told, "a visit has one end");
    for (auto& [parcel, lies] : it.parcels)
      law(lies.empty() || lies.front() > each.behind, "a visit is behind what waited");
    each.ended = true;
    ++seen_["admitted"];
  }

  void see(const lines::turn_away& what) {
    auto& each = visits_.at(what.visit);
    law(!each.ended, "a visit has one end");
    law(each.told == (what.why.code == errc::timed_out), "who was told is turned away for that");
    each.ended = true;
    ++seen_["turned away"];
  }

  void see(const lines::lost& what) {
    auto& it = peers_.at(what.peer);
    law(what.why.code == errc::outcome_unknown, "what is lost has an unknown end");
    if (lost_ == what.link) { // another takes its place
      lost_.reset();
    } else {
      law(it.link == what.link, "a link is lost once");
      it.link.reset();
      forget_link(it);
    }
    ++seen_["lost"];
  }

  void see(const lines::ask_to_rest& what) {
    auto& it = peers_.at(what.peer);
    law(it.link == what.link && !is_waiting(it), "a link rests on which nothing waits");
    law(test::name_of(what.peer) != "a", "the smaller id asks");
    it.asked_until = now_ + 5s;
    ++seen_["asked"];
  }

  void see(const lines::answer_rest& what) {
    answered_ = true;
    auto& it = peers_.at(what.peer);
    if (it.link != asked_over_)
      return law(!what.agrees, "only over a link it is asked whether that may rest");
    it.agreed_until.reset(); // who asks anew has not closed it
    if (!what.agrees)
      return;
    law(it.link && !rests(it), "a link rests that is there");
    it.agreed_until = now_ + 15s;
    ++seen_["agreed"];
  }

  void see(const lines::close& what) {
    auto& it = peers_.at(what.peer);
    law(it.link == what.link && it.asked_until && !it.closing, "a link that rests is closed once");
    it.closing = true;
    ++seen_["closed"];
  }

  void end(const std::vector<std::uint64_t>& numbers, std::size_t taken) {
    std::size_t sum = 0;
    for (auto number : numbers) {
      auto& each = letters_.at(number);
      law(!each.ended, "a letter has one end");
      each.ended = true;
      sum += each.taken;
      peers_.at(each.to).room.drop(each.taken);
    }
    law(sum == taken, "what was taken is given back");
  }

  random_source random_;
  time_point now_{};
  peer_lines lines_{test::node_named("m"),
                    {.idle = {.idle_after = 10s, .unused_after = 4s},
                     .window_bytes = window_bytes,
                     .max_turn_letters = max_turn_letters,
                     .max_visits = max_visits}};
  peer_lines::effects out_;
  std::map<node_id, peer> peers_;
  std::map<std::uint64_t, letter> letters_;
  std::map<std::uint64_t, visitor> visits_;
  std::uint64_t last_letter_ = 0;
  std::uint64_t last_request_ = 0;
  std::uint64_t last_visit_ = 0;
  lines::link_number last_link_ = 0;
  std::optional<lines::link_number> lost_;
  std::size_t in_turn_ = 0;
  bool turn_awaited_ = false;
  bool answered_ = false;
  lines::link_number asked_over_ = 0;
  std::map<std::string, std::size_t> seen_;
  std::string broken_;
};

} // namespace

TEST_CASE("each letter is sent once, refused once, or cut as its caller was told, in order and "
          "within the bounds",
          "[router]") {
  std::map<std::string, std::size_t> seen;
  test::for_each_seed(300, [&](random_source random) {
    world all{random};
    all.run(1'500);
    REQUIRE(all.broken() == "");
    REQUIRE(all.all_ended());
    for (auto& [what, count] : all.seen())
      seen[what] += count;
  });
  if (test::given_seed())
    return;
  for (auto* what : {"refused at once", "wanted", "sent", "cut", "refused", "admitted",
                     "turned away", "lost", "asked", "agreed", "closed"}) {
    INFO(what);
    CHECK(seen[what] > 50);
  }
}

} // namespace peer_lines_property
