#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>

#include "fuzz/laws.hpp"
#include "troupe/raft/replica.hpp"

namespace raft_messages_fuzz {

namespace {

// A replica of three whose peers send whatever they like, snapshot parts among it. The first
// byte says how it begins: following, standing or leading. Then each message has two bytes of
// length; an empty one lets time pass.

using namespace troupe;
using namespace troupe::raft;

class victim {
public:
  explicit victim(std::uint8_t how) : inside_({1}, timers(), disk(), time_point{}) {
    if (how % 3 == 0)
      return;
    pass();
    if (how % 3 == 1)
      return;
    hear({2}, {2, vote_answer{true, true}});
    hear({2}, {2, vote_answer{false, true}});
    test::must_hold(inside_.current_role() == role::leader, "two of three votes make a leader");
    replica::effects out;
    inside_.step(now_, 1, replica::propose{{"a", "b"}}, out);
    carry_out(out);
  }

  void hear(member_id from, const message& what) {
    replica::effects out;
    auto term = inside_.term();
    inside_.step(now_, 0, replica::received{from, what}, out);
    carry_out(out);
    test::must_hold(inside_.term() <= term + max_term_jump + 1, "no message ends the terms");
  }

  void pass() {
    replica::effects out;
    if (auto next = inside_.next_deadline())
      now_ = std::max(now_, std::min(*next, now_ + std::chrono::seconds{10}));
    inside_.tick(now_, out);
    carry_out(out);
  }

private:
  static options timers() {
    auto made = lan();
    made.max_snapshot_bytes = 1'000'000;
    return made;
  }

  static stored_state disk() {
    stored_state made;
    made.last_ballot = {1, {}};
    for (std::uint64_t each = 1; each <= 3; ++each)
      made.base.members.members[{each}] = {true, ""};
    made.entries = {{1, 1, {}, no_op{}}, {2, 1, {}, std::string{"x"}}};
    return made;
  }

  void carry_out(replica::effects& out) {
    for (int round = 0; round < 100 && !out.empty(); ++round) {
      replica::effects more;
      for (auto& what : out) {
        if (auto* write = std::get_if<replica::write>(&what))
          inside_.step(now_, 0, replica::written{write->number}, more);
        if (auto* applied = std::get_if<replica::committed>(&what))
          for (auto& line : applied->entries)
            test::must_hold(line.index == ++applied_, "entries are applied in order");
        if (auto* installed = std::get_if<replica::installed>(&what)) {
          test::must_hold(installed->what.header.index >= applied_, "a snapshot goes forward");
          applied_ = installed->what.header.index;
        }
        if (std::holds_alternative<replica::load_snapshot>(what))
          inside_.step(now_, 0,
                       replica::loaded{{inside_.header_at(inside_.commit_index()),
                                        std::make_shared<const std::string>("state")}},
                       more);
      }
      out = std::move(more);
      test::must_hold(inside_.commit_index() >= commit_, "what is committed stays so");
      commit_ = inside_.commit_index();
      test::must_hold(inside_.last_index() >= commit_, "what is committed is in the log");
    }
  }

  time_point now_{};
  replica inside_;
  log_index applied_ = 0;
  log_index commit_ = 0;
};

int one_input(const std::uint8_t* data, std::size_t size) {
  auto rest = test::text_of(data, size);
  if (rest.empty())
    return 0;
  victim who{static_cast<std::uint8_t>(rest.front())};
  rest.remove_prefix(1);
  while (rest.size() >= 2) {
    auto length = static_cast<std::size_t>(static_cast<unsigned char>(rest[0]))
                  | static_cast<std::size_t>(static_cast<unsigned char>(rest[1])) << 8U;
    auto bytes = rest.substr(2, length);
    rest.remove_prefix(2 + bytes.size());
    test::check_codec<message>(bytes);
    if (auto what = from_bytes<message>(bytes))
      who.hear({2 + (length & 1U)}, *what);
    else
      who.pass();
  }
  return 0;
}

} // namespace

} // namespace raft_messages_fuzz

TROUPE_FUZZER(raft_messages, raft_messages_fuzz::one_input)
