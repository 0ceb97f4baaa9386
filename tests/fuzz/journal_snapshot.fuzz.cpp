#include "fuzz/laws.hpp"
#include "troupe/host/types.hpp"
#include "troupe/lock/lock_table.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using snapshot = troupe::host::durable_snapshot<troupe::lock::lock_table>;
  troupe::test::check_codec<snapshot>(troupe::test::text_of(data, size));
  return 0;
}
