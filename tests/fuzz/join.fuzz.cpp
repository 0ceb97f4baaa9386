#include <string>

#include "fuzz/laws.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/security/join_wire.hpp"

namespace join_fuzz {

namespace {

using namespace troupe;
using namespace troupe::security;

/// Nobody finds the proof of a token by chance.
void judge_request(const join_request& request) {
  static const auto key = key_pair::make();
  static const auto token = join_token::make(key.public_half(), id_of(key.public_half()));
  const wall_time now{};
  invitation open{request.token, token.proof_key(), role::member, rights::use, {}, now};
  auto got = judge(request, "the connection", &open, nullptr, now);
  test::must_hold(!got && got.error().code == errc::denied, "only whoever has a token joins");
}

// What a machine without a certificate sends, and what it is answered; a token as somebody types
// it; a line of the book of invitations.
int one_input(const std::uint8_t* data, std::size_t size) {
  auto bytes = test::text_of(data, size);
  if (auto token = join_token::from_line(bytes)) {
    auto again = join_token::from_line(token->line().text());
    test::must_hold(again && again->proof_key() == token->proof_key(),
                    "a token is read as written");
  } else {
    test::must_hold(token.error().detail.find(bytes) == std::string::npos || bytes.size() < 8,
                    "no sentence has what may be a token");
  }
  if (auto body = join_body_bytes(bytes.substr(0, join_head_bytes), max_join_request_bytes))
    test::must_hold(*body <= max_join_request_bytes, "a request is bounded");
  test::check_codec<join_request>(bytes);
  test::check_codec<join_answer>(bytes);
  if (auto request = from_bytes<join_request>(bytes))
    judge_request(*request);
  if (auto line = from_json<invitation_line>(std::string{bytes}, test::narrow_limits()))
    test::must_hold(to_json(*line).has_value(), "what was read is written");
  return 0;
}

} // namespace

} // namespace join_fuzz

TROUPE_FUZZER(join, join_fuzz::one_input)
