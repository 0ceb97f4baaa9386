#include "fuzz/laws.hpp"
#include "troupe/host/types.hpp"
#include "troupe/lock/lock_table.hpp"

namespace journal_record_fuzz {

namespace {

int one_input(const std::uint8_t* data, std::size_t size) {
  using record = troupe::host::record<troupe::lock::lock_table>;
  troupe::test::check_codec<record>(troupe::test::text_of(data, size));
  return 0;
}

} // namespace

} // namespace journal_record_fuzz

TROUPE_FUZZER(journal_record, journal_record_fuzz::one_input)
