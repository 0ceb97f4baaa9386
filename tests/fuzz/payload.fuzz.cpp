#include <string>

#include "caf/binary_deserializer.hpp"
#include "caf/message.hpp"
#include "caf/type_id.hpp"

#include "fuzz/laws.hpp"
#include "troupe/core/caf/incoming_message.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/router/messages.hpp"

namespace payload_fuzz {

namespace {

// The payload of a message from a peer, as BASP has it: what is not refused CAF reads, or says that
// it cannot, and no system type is among what it has read.
int one_input(const std::uint8_t* data, std::size_t size) {
  using namespace troupe;
  static const bool is_ready = [] {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                  caf::id_block::troupe_router>();
    return true;
  }();
  test::must_hold(is_ready, "the types of messages are known");
  auto bytes = test::text_of(data, size);
  static_cast<void>(incoming_message::refusal_of_error(bytes));
  if (!incoming_message::refusal(bytes).empty())
    return 0;
  auto types = incoming_message::types_of(bytes);
  test::must_hold(types.count <= incoming_message::max_elements, "a message is short");
  for (auto each : types.all())
    test::must_hold(
      each
          != caf::type_id_v<
            caf::
              exit_msg> && each != caf::type_id_v<caf::down_msg> && each != caf::type_id_v<caf::link_atom> && each != caf::type_id_v<caf::config_value>,
      "no system message passes");
  caf::binary_deserializer source{nullptr, bytes.data(), bytes.size()};
  caf::message read;
  if (source.apply(read))
    test::must_hold(read.size() == types.count, "what was judged is what CAF reads");
  return 0;
}

} // namespace

} // namespace payload_fuzz

TROUPE_FUZZER(payload, payload_fuzz::one_input)
