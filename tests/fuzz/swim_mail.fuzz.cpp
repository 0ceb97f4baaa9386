#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <variant>

#include "fuzz/laws.hpp"
#include "troupe/cluster/swim.hpp"

namespace swim_mail_fuzz {

namespace {

// A member among three whose peers send whatever they like. Each mail has two bytes of length; the
// lowest bit says from whom it is. What is no mail lets time pass. Signatures always hold, as if
// every forger had every key.

using namespace troupe;
using namespace troupe::cluster;

public_key key_of(unsigned which) {
  public_key made;
  made.bytes[0] = static_cast<std::byte>(which);
  return made;
}

class victim {
public:
  victim() : it_(id_of(key_of(0)), 5, bounds(), 1, [](auto&, auto, auto&) { return true; }) {
    step(swim::begin{"self:1"});
    for (auto which : {1U, 2U})
      step(swim::introduced{key_of(which), {{id_of(key_of(which)), {1, 0}, false, "there:1"}, {}}});
  }

  void hear(unsigned from, swim_mail what) {
    step(swim::heard{id_of(key_of(from)), std::move(what)});
  }

  void pass() {
    swim::effects out;
    if (auto next = it_.next_deadline())
      now_ = std::max(now_, *next);
    it_.tick(now_, out);
    carry_out(out);
  }

private:
  static swim_options bounds() {
    swim_options made;
    made.max_errands = made.max_strangers = 8;
    return made;
  }

  void step(swim::event what) {
    swim::effects out;
    it_.step(now_, 0, std::move(what), out);
    carry_out(out);
  }

  void carry_out(const swim::effects& out) {
    test::must_hold(it_.flaws().empty(), "its state holds together");
    test::must_hold(!it_.find(id_of(key_of(0))), "it is no member of its own");
    for (auto& each : out) {
      if (auto* mail = std::get_if<swim::send>(&each))
        test::must_hold(it_.find(mail->to).has_value(), "only members get mail");
      if (auto* wanted = std::get_if<swim::sign>(&each)) {
        test::must_hold(wanted->what.when >= said_, "it says nothing older than before");
        test::must_hold(wanted->what.when.boot == 5, "no mail makes it speak of another life");
        said_ = wanted->what.when;
        step(swim::stated{{wanted->what, {}}});
      }
    }
  }

  swim it_;
  time_point now_{std::chrono::hours{1}};
  incarnation said_{};
};

int one_input(const std::uint8_t* data, std::size_t size) {
  auto rest = test::text_of(data, size);
  victim who;
  while (rest.size() >= 2) {
    auto length = static_cast<std::size_t>(static_cast<unsigned char>(rest[0]))
                  | static_cast<std::size_t>(static_cast<unsigned char>(rest[1])) << 8U;
    auto bytes = rest.substr(2, length);
    rest.remove_prefix(2 + bytes.size());
    test::check_codec<swim_mail>(bytes);
    if (auto what = from_bytes<swim_mail>(bytes))
      who.hear(1U + (length & 1U), *std::move(what));
    else
      who.pass();
  }
  return 0;
}

} // namespace

} // namespace swim_mail_fuzz

TROUPE_FUZZER(swim_mail, swim_mail_fuzz::one_input)
