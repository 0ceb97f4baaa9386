#include "troupe/core/msgpack.hpp"

#include "core/everything.hpp"
#include "fuzz/laws.hpp"

namespace msgpack_fuzz {

namespace {

using namespace troupe;
using test::must_hold;

int one_input(const std::uint8_t* data, std::size_t size) {
  auto bytes = test::text_of(data, size);
  std::optional<result<nlohmann::json>> narrow;
  test::check_memory(bytes, [&] { narrow = parse_msgpack(bytes, test::narrow_limits()); });
  test::check_memory(bytes,
                     [&] { (void)from_msgpack<test::everything>(bytes, test::narrow_limits()); });
  auto tree = parse_msgpack(bytes);
  if (!tree) {
    must_hold(is_utf8(tree.error().detail), "a refusal can be read");
    return 0;
  }
  auto written = write_msgpack(*tree);
  must_hold(write_msgpack(*parse_msgpack(written)) == written, "a tree is read from its bytes");
  if (auto moment = to_timestamp(*tree))
    must_hold(to_timestamp(from_timestamp(*moment)) == moment, "a moment comes back");
  auto value = from_msgpack<test::everything>(bytes);
  if (!value) {
    must_hold(is_utf8(value.error().detail), "a refusal can be read");
    return 0;
  }
  auto again = to_msgpack(*value);
  if (!again) // fields that were missing may nest one level deeper
    must_hold(again.error().code == errc::too_large, "what was read can be written");
  else // NaN has many forms, and only one is kept
    must_hold(*to_msgpack(*from_msgpack<test::everything>(*again)) == *again,
              "a value comes back from MessagePack");
  return 0;
}

} // namespace

} // namespace msgpack_fuzz

TROUPE_FUZZER(msgpack, msgpack_fuzz::one_input)
