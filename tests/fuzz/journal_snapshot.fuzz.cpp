#include "fuzz/laws.hpp"
#include "troupe/host/types.hpp"
#include "troupe/lock/lock_table.hpp"

namespace journal_snapshot_fuzz {

namespace {

int one_input(const std::uint8_t* data, std::size_t size) {
  using snapshot = troupe::host::durable_snapshot<troupe::lock::lock_table>;
  troupe::test::check_codec<snapshot>(troupe::test::text_of(data, size));
  return 0;
}

} // namespace

} // namespace journal_snapshot_fuzz

TROUPE_FUZZER(journal_snapshot, journal_snapshot_fuzz::one_input)
