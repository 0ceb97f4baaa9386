#include "troupe/lock/messages.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include "caf/binary_deserializer.hpp"
#include "caf/binary_serializer.hpp"
#include "caf/byte_buffer.hpp"

using namespace std::literals;
using namespace troupe;
using namespace troupe::lock;

namespace {

/// Returns the bytes of `value` as they go over the wire and into the journal.
template <class T>
caf::byte_buffer caf_bytes_of(const T& value) {
  caf::byte_buffer bytes;
  caf::binary_serializer sink{nullptr, bytes};
  REQUIRE(sink.apply(value));
  return bytes;
}

/// Returns whether `bytes` are one whole T, which then is in `value`.
template <class T>
bool from_bytes(const caf::byte_buffer& bytes, T& value) {
  caf::binary_deserializer source{nullptr, bytes};
  return source.apply(value) && source.remaining() == 0;
}

const table_snapshot sample{
  2, {{{{{"db", "ann", fencing_token{2}, 10s}, 4s}}, {{7, {"db", "bob", 10s, 30s}, 21s}}}}, {}};

} // namespace

TEST_CASE("a snapshot arrives as it was sent", "[lock][wire]") {
  table_snapshot received;
  REQUIRE(from_bytes(caf_bytes_of(sample), received));
  CHECK(received == sample);
}

TEST_CASE("a snapshot cut short anywhere is refused", "[lock][wire]") {
  auto bytes = caf_bytes_of(sample);
  while (!bytes.empty()) {
    bytes.pop_back();
    table_snapshot received;
    INFO(bytes.size() << " bytes");
    CHECK_FALSE(from_bytes(bytes, received));
  }
}

TEST_CASE("type ids stay where other versions expect them", "[lock][wire]") {
  CHECK(caf::type_id_v<errc> == 1200);
  CHECK(caf::type_id_v<lock_actor> == 1400);
  CHECK(caf::type_id_v<lease> == 1402);
  CHECK(caf::type_id_v<lock_options> == 1406);
  CHECK(caf::type_id_v<table_snapshot> == 1407);
  CHECK(caf::type_id_v<lock_view> == 1409);
  CHECK(caf::type_id_v<lock_page> == 1414);
  CHECK(caf::type_id_v<host::call> == 1301);
}
