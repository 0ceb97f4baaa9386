#include <cstdint>
#include <string_view>
#include <utility>

#include "fuzz/laws.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/router/bundle.hpp"
#include "troupe/router/messages.hpp"

namespace bundle_fuzz {

namespace {

// What a router gets from another one: letters of the application, in CAF's binary form behind
// headers in ours.

using namespace troupe;
using router::bundle;

bool know_types() {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_router>();
  return true;
}

caf::byte_buffer framed(std::string_view content) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  test::must_hold(sink.begin_sequence(content.size()), "a length is written");
  auto* first = reinterpret_cast<const compat::byte*>(content.data());
  bytes.insert(bytes.end(), first, first + content.size());
  return bytes;
}

bundle::content arrived(std::string_view content) {
  auto bytes = framed(content);
  caf::binary_deserializer source{nullptr, bytes};
  bundle received;
  test::must_hold(source.apply(received) && source.remaining() == 0,
                  "a bundle ends where its length says, whatever is in it");
  return received.take(nullptr);
}

caf::byte_buffer written(bundle what) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  test::must_hold(sink.apply(what), "a bundle is written");
  return bytes;
}

std::string_view behind_length(const caf::byte_buffer& bytes) {
  caf::binary_deserializer source{nullptr, bytes};
  std::size_t size = 0;
  test::must_hold(source.begin_sequence(size) && size == source.remaining(), "behind its length");
  auto rest = source.remainder();
  return {reinterpret_cast<const char*>(rest.data()), rest.size()};
}

/// Sent on as they came, letters are the same.
void check_again(const bundle::content& came) {
  bundle made;
  for (auto& each : came.letters)
    if (each.unreadable.code == errc::none)
      test::must_hold(made.add(nullptr, each) != bundle::added::unwritable,
                      "what was read can be written");
  auto once = written(std::move(made));
  bundle second;
  auto again = arrived(behind_length(once));
  test::must_hold(again.damage.code == errc::none, "what was written is no damaged bundle");
  for (auto& each : again.letters) {
    test::must_hold(each.unreadable.code == errc::none, "what was written can be read");
    test::must_hold(second.add(nullptr, each) == bundle::added::yes, "all of it fits again");
  }
  test::must_hold(written(std::move(second)) == once, "a second round trip changes nothing");
}

int one_input(const std::uint8_t* data, std::size_t size) {
  static const bool known = know_types();
  auto bytes = test::text_of(data, size);
  bundle::content came;
  auto is_little = [&] {
    return test::counted_memory::peak_of([&] { came = arrived(bytes); }) <= 64 * size + test::spare;
  };
  // CAF keeps each list of types that a message has, for the whole run, and its table of them
  // doubles now and then. The second time the list is known.
  test::must_hold(known && (is_little() || is_little()), "memory grows with the bytes");
  test::must_hold(came.letters.size() <= bundle::max_letters, "letters are bounded");
  std::size_t recipients = 0;
  for (auto& each : came.letters) {
    test::must_hold(!each.to.empty() || each.unreadable.code != errc::none,
                    "each letter is for somebody");
    test::must_hold(each.unreadable.code == errc::none || !each.unreadable.detail.empty(),
                    "what is refused is told with its cause");
    test::must_hold(!each.how || check(*each.how).code == errc::none
                      || each.unreadable.code != errc::none,
                    "what may be said of a message is valid");
    test::must_hold(each.life == router::longest_life || each.life <= 10 * longest_span,
                    "lives are bounded");
    test::must_hold(each.wanted == router::word::nothing || each.to.size() <= 1,
                    "one agent answers");
    recipients += each.to.size();
  }
  test::must_hold(recipients <= bundle::max_recipients, "recipients are bounded");
  test::must_hold(came.damage.code == errc::none || !came.damage.detail.empty(),
                  "damage is told with its cause");
  check_again(came);
  return 0;
}

} // namespace

} // namespace bundle_fuzz

TROUPE_FUZZER(bundle, bundle_fuzz::one_input)
