#include <algorithm>

#include "fuzz/laws.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/revocation_list.hpp"

namespace revocation_list_fuzz {

namespace {

using namespace troupe;
using security::revocation_list;

const security::key_pair& ca() {
  static const auto made = security::key_pair::make();
  return made;
}

void check(const result<revocation_list>& read) {
  if (!read)
    return test::must_hold(!read.error().detail.empty(), "a refusal says why");
  test::must_hold(read->number > 0 && read->size() <= revocation_list::max_entries,
                  "a list has a number and a bound");
  test::must_hold(
    std::ranges::all_of(read->certificates, [](auto& each) { return each.first.size() <= 40; }),
    "a serial is short");
  auto written = to_bytes(*read);
  auto again = from_bytes<revocation_list>(written);
  test::must_hold(again == *read, "a second round trip changes nothing");
}

// What a member sends or a person puts there as the list of revoked certificates: as it is, which
// no CA has signed, and as the content of a list that this CA has signed.
int one_input(const std::uint8_t* data, std::size_t size) {
  auto text = test::text_of(data, size);
  check(security::read_revocation_list(text, ca().public_half()));
  test::check_codec<revocation_list>(text);
  test::check_codec<security::signed_revocation_list>(text);
  security::signed_revocation_list made;
  made.list = text;
  made.by = ca().sign(security::detail::to_be_signed(made.list));
  check(security::read_revocation_list(to_bytes(made), ca().public_half()));
  return 0;
}

} // namespace

} // namespace revocation_list_fuzz

TROUPE_FUZZER(revocation_list, revocation_list_fuzz::one_input)
