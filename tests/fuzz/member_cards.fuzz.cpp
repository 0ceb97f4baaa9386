#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "fuzz/laws.hpp"
#include "troupe/cluster/sealed_swim.hpp"

namespace member_cards_fuzz {

namespace {

// A member whose peer shows it cards and pages of rumours over links, as bytes of its choice. Each
// part has two bytes of length, of which the lowest two bits say what it is: a card, the cards of
// an answer, a page that was asked for, or one that asks. What is not read lets time pass.
// Signatures always hold, as if every forger had every key.

using namespace troupe;
using namespace troupe::cluster;

using page = std::pair<std::vector<rumour>, node_id>;

public_key key_of(unsigned which) {
  public_key made;
  made.bytes[0] = static_cast<std::byte>(which);
  return made;
}

node_id self() {
  return id_of(key_of(0));
}

class victim {
public:
  victim() : it_(setup(), 1, [](auto&, auto, auto&) { return true; }) {
    step(swim::begin{"self:1"});
  }

  void take(unsigned kind, std::string_view bytes) {
    switch (kind) {
      case 0:
        test::check_codec<member_card>(bytes);
        if (auto one = from_bytes<member_card>(bytes))
          return step(sealed_swim::met{*std::move(one), true});
        break;
      case 1:
        test::check_codec<std::vector<member_card>>(bytes);
        if (auto all = from_bytes<std::vector<member_card>>(bytes)) {
          for (auto& each : *all)
            step(sealed_swim::met{std::move(each), false});
          return;
        }
        break;
      case 2:
        test::check_codec<page>(bytes);
        if (auto all = from_bytes<page>(bytes))
          return step(swim::told{id_of(key_of(1)), std::move(all->first)});
        break;
      default:
        test::check_codec<std::vector<rumour>>(bytes);
        if (auto all = from_bytes<std::vector<rumour>>(bytes))
          return step(swim::told{id_of(key_of(1)), *std::move(all)});
    }
    pass();
  }

  /// What it tells others of all that is read there, and ends.
  void check_pages() const {
    std::size_t count = 0;
    for (node_id after{};; ++count) {
      auto [some, last] = it_.members().page(after, 2);
      auto again = from_bytes<page>(to_bytes(page{some, last}));
      test::must_hold(again && again->first == some, "a page is read as it was written");
      if (some.empty())
        return;
      test::must_hold(last > after, "a page goes on behind the one before");
      test::must_hold(some.size() <= 3, "a page ends with the node that fills it");
      after = last;
      test::must_hold(count < 20, "pages end");
    }
  }

private:
  static sealed_swim_setup setup() {
    sealed_swim_setup made{
      .key = key_of(0), .boot = 5, .agreement = security::key_agreement::make()};
    made.swim.max_members = 6;
    made.swim.max_errands = made.swim.max_strangers = 8;
    return made;
  }

  void pass() {
    sealed_swim::effects out;
    if (auto next = it_.next_deadline())
      now_ = std::max(now_, *next);
    it_.tick(now_, out);
    carry_out(out);
  }

  void step(sealed_swim::event what) {
    sealed_swim::effects out;
    it_.step(now_, 0, std::move(what), out);
    carry_out(out);
  }

  void carry_out(const sealed_swim::effects& out) {
    test::must_hold(it_.flaws().empty(), "its state holds together");
    test::must_hold(!it_.members().find(self()), "it is no member of its own");
    for (auto& each : out) {
      if (auto* mail = std::get_if<sealed_swim::send>(&each))
        test::must_hold(it_.members().find(mail->to).has_value(), "only members get mail");
      if (auto* wanted = std::get_if<swim::sign>(&each)) {
        test::must_hold(wanted->what.when.boot == 5, "nobody makes it speak of another life");
        step(swim::stated{{wanted->what, {}}});
      }
      if (auto* shown = std::get_if<swim::shows>(&each))
        if (auto card = it_.card_of(shown->who))
          test::must_hold(id_of(card->key) == shown->who && card->offers.node == shown->who
                            && card->said.what.node == shown->who
                            && card->said.what.when.boot == card->offers.boot,
                          "a card is of one node and one life");
    }
  }

  sealed_swim it_;
  time_point now_{std::chrono::hours{1}};
};

int one_input(const std::uint8_t* data, std::size_t size) {
  victim who;
  test::for_each_message(test::text_of(data, size),
                         [&who](unsigned kind, std::string_view bytes) { who.take(kind, bytes); });
  who.check_pages();
  return 0;
}

} // namespace

} // namespace member_cards_fuzz

TROUPE_FUZZER(member_cards, member_cards_fuzz::one_input)
