#ifndef TROUPE_STATE_IMPL_ENTRY_IPP
#define TROUPE_STATE_IMPL_ENTRY_IPP

#include "troupe/core/checksum.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/digest.hpp"
#include "troupe/state/entry.hpp"

namespace troupe::state {

TROUPE_COMPILED std::uint32_t checksum_of(const entry& value) {
  encoder fields;
  fields.put(value.key);
  fields.put(value.version);
  fields.put(value.replica);
  fields.put(value.context);
  fields.put(value.written_at);
  fields.put(value.expires_at);
  fields.put(value.content);
  return crc32c(fields.take());
}

TROUPE_COMPILED void seal(entry& value) {
  value.content = sha256(view_of(value.value));
  value.checksum = checksum_of(value);
}

TROUPE_COMPILED problem verify(const entry& value) {
  if (value.checksum == checksum_of(value) && value.content == sha256(view_of(value.value)))
    return {};
  return {errc::damaged, to_text(value.key) + ", version " + std::to_string(value.version)
                           + ", has a wrong checksum; read it again, or restore a backup"};
}

} // namespace troupe::state

#endif
