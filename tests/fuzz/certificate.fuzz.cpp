#include <string>

#include "fuzz/laws.hpp"
#include "troupe/core/names.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/certificate_request.hpp"

namespace certificate_fuzz {

namespace {

using namespace troupe;

void check(const result<security::facts>& read) {
  if (!read)
    return test::must_hold(!read.error().detail.empty(), "a refusal says why");
  test::must_hold(is_name(read->name) && read->name.size() <= security::max_certified_name_bytes,
                  "a name fits into sentences");
  test::must_hold(read->valid_from < read->valid_until, "a certificate is valid at some time");
}

// What a peer or a user gives as a certificate, or as a request for one: DER as TLS has it, and
// PEM.
int one_input(const std::uint8_t* data, std::size_t size) {
  const auto* first = data;
  security::detail::owned<X509> read{::d2i_X509(nullptr, &first, static_cast<long>(size))};
  if (read)
    check(security::facts_of(read.get()));
  auto text = test::text_of(data, size);
  if (auto pem = security::certificate::from_pem(text, "the file"))
    check(security::facts_of(*pem));
  if (auto key = security::key_in_request(text); !key)
    test::must_hold(!key.error().detail.empty(), "a refusal says why");
  ::ERR_clear_error();
  return 0;
}

} // namespace

} // namespace certificate_fuzz

TROUPE_FUZZER(certificate, certificate_fuzz::one_input)
