#include "troupe/core/json.hpp"

#include "core/everything.hpp"
#include "fuzz/laws.hpp"
#include "troupe/core/msgpack.hpp"

namespace json_fuzz {

namespace {

using namespace troupe;
using test::must_hold;

int one_input(const std::uint8_t* data, std::size_t size) {
  auto text = test::text_of(data, size);
  std::optional<result<nlohmann::json>> narrow;
  test::check_memory(text, [&] { narrow = parse_json(text, test::narrow_limits()); });
  test::check_memory(text, [&] { (void)from_json<test::everything>(text, test::narrow_limits()); });
  auto tree = parse_json(text);
  if (!tree) {
    must_hold(is_utf8(tree.error().detail), "a refusal can be read");
    return 0;
  }
  must_hold(*parse_json(tree->dump()) == *tree, "a tree is read from its own text");
  test::everything value;
  if (auto why = from_json_value(*tree, value)) {
    must_hold(is_utf8(why.detail), "a refusal can be read");
    return 0;
  }
  auto written = to_json(value);
  if (!written) { // fields that were missing may nest one level deeper
    must_hold(written.error().code == errc::too_large, "what was read can be written");
    return 0;
  }
  must_hold(to_bytes(*from_json<test::everything>(*written)) == to_bytes(value),
            "a value comes back from JSON");
  must_hold(to_bytes(*from_msgpack<test::everything>(*to_msgpack(value))) == to_bytes(value),
            "a value comes back from MessagePack");
  return 0;
}

} // namespace

} // namespace json_fuzz

TROUPE_FUZZER(json, json_fuzz::one_input)
