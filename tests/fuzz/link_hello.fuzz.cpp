#include "fuzz/laws.hpp"
#include "troupe/net/basp_filter.hpp"
#include "troupe/net/greeting.hpp"
#include "troupe/net/link_table.hpp"

namespace link_hello_fuzz {

namespace {

// Plays a peer that connects to a node and is connected to by it: greetings one after the
// other, each with its head, until one is none; what is left are BASP headers.
int one_input(const std::uint8_t* data, std::size_t size) {
  using namespace troupe;
  using namespace troupe::net;
  auto rest = test::text_of(data, size);
  hello self;
  self.node.bytes.fill(std::byte{0x55});
  self.cluster.bytes.fill(std::byte{0x77});
  self.basp_node = "basp";
  link_table table{self, {.max_accepting = 2, .max_remembered = 2}};
  link_table::effects out;
  time_point now{};
  table.step(now, dial{1, {}}, out);
  table.step(now, connected{1}, out);
  for (connection_id last = 1; rest.size() >= greeting_head_bytes;) {
    auto bytes = body_bytes(rest.substr(0, greeting_head_bytes));
    rest.remove_prefix(greeting_head_bytes);
    if (!bytes || *bytes > rest.size())
      break;
    auto said = from_wire(rest.substr(0, *bytes));
    rest.remove_prefix(*bytes);
    if (!said)
      break;
    auto again = to_wire(*said);
    test::must_hold(from_wire(std::string_view{again}.substr(greeting_head_bytes)) == said,
                    "a greeting arrives as it was said");
    now += std::chrono::milliseconds{100};
    if (std::holds_alternative<hello>(*said) || std::holds_alternative<relay_request>(*said)
        || std::holds_alternative<bootstrap_request>(*said))
      table.step(now, accepted{++last}, out);
    auto to = std::holds_alternative<answer>(*said) ? 1 : last;
    table.step(now, heard{to, std::move(*said)}, out);
    test::must_hold(table.unfinished() <= 3, "unfinished connections are bounded");
  }
  basp_filter filter{{}, "peer", "self"};
  while (rest.size() >= basp_header::wire_bytes) {
    auto header
      = basp_header::from_bytes(std::as_bytes(std::span{rest}).first(basp_header::wire_bytes));
    rest.remove_prefix(basp_header::wire_bytes);
    auto judged = filter.header(header);
    test::must_hold(header.payload_bytes <= filter_options{}.max_payload_bytes
                      || judged.what == basp_filter::decision::close,
                    "no payload above the limit passes");
    static_cast<void>(filter.payload(rest));
  }
  return 0;
}

} // namespace

} // namespace link_hello_fuzz

TROUPE_FUZZER(link_hello, link_hello_fuzz::one_input)
