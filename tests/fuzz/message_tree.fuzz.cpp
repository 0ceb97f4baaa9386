#include "troupe/core/caf/message_tree.hpp"

#include "caf/type_id.hpp"

#include "fuzz/laws.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/caf/stored_message.hpp"
#include "troupe/router/messages.hpp"

namespace message_tree_fuzz {

namespace {

using namespace troupe;
using test::must_hold;

// JSON or MessagePack from a stranger: what is read as a message comes back from all forms.
void judge(const result<caf::message>& read) {
  if (!read) {
    must_hold(is_utf8(read.error().detail), "a refusal can be read");
    return;
  }
  auto stored = to_stored(*read);
  auto bytes = to_msgpack(*read);
  if (!stored || !bytes) // nested deeper, by what was missing
    return;
  auto again = message_from_msgpack(*bytes);
  must_hold(again.has_value(), "what was read can be read again");
  must_hold(to_stored(*again).value() == *stored, "a message comes back from MessagePack");
  if (auto text = to_json(*read)) {
    again = message_from_json(*text);
    must_hold(again.has_value() && to_stored(*again).value() == *stored,
              "a message comes back from JSON");
  }
}

int one_input(const std::uint8_t* data, std::size_t size) {
  static const bool is_ready = [] {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_router>();
    return true;
  }();
  must_hold(is_ready, "the types of messages are known");
  auto text = test::text_of(data, size);
  judge(message_from_json(text));
  judge(message_from_msgpack(text));
  return 0;
}

} // namespace

} // namespace message_tree_fuzz

TROUPE_FUZZER(message_tree, message_tree_fuzz::one_input)
