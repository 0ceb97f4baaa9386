#include "fuzz/laws.hpp"
#include "troupe/host/types.hpp"
#include "troupe/lock/lock_table.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using record = troupe::host::record<troupe::lock::lock_table>;
  troupe::test::check_codec<record>(troupe::test::text_of(data, size));
  return 0;
}
