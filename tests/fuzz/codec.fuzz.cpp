#include "core/everything.hpp"
#include "fuzz/laws.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  troupe::test::check_codec<troupe::test::everything>(troupe::test::text_of(data, size));
  return 0;
}
