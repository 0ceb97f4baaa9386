#include "core/everything.hpp"
#include "fuzz/laws.hpp"

namespace codec_fuzz {

namespace {

int one_input(const std::uint8_t* data, std::size_t size) {
  troupe::test::check_codec<troupe::test::everything>(troupe::test::text_of(data, size));
  return 0;
}

} // namespace

} // namespace codec_fuzz

TROUPE_FUZZER(codec, codec_fuzz::one_input)
