#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "caf/allowed_unsafe_message_type.hpp"
#include "caf/default_enum_inspect.hpp"
#include "caf/is_error_code_enum.hpp"
#include "caf/message.hpp"
#include "caf/string_view.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/incoming_message.hpp"
#include "troupe/core/caf/type_ids.hpp"
#include "troupe/core/errc.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// See answer_path. Never sent over a link.
struct ready_answer {
  caf::message what;
};

} // namespace troupe

CAF_BEGIN_TYPE_ID_BLOCK(troupe_core, ::troupe::type_ids::core)

  CAF_ADD_TYPE_ID(troupe_core, (troupe::errc))
  CAF_ADD_TYPE_ID(troupe_core, (troupe::problem))
  CAF_ADD_TYPE_ID(troupe_core, (std::vector<std::string>))
  CAF_ADD_TYPE_ID(troupe_core, (troupe::ready_answer))

CAF_END_TYPE_ID_BLOCK(troupe_core)

static_assert(caf::id_block::troupe_core::end <= troupe::type_ids::host);

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::ready_answer)
CAF_ERROR_CODE_ENUM(troupe::errc)

namespace troupe {

inline std::string to_string(errc code) {
  return std::string{name_of(code)};
}

inline bool from_integer(std::uint8_t value, errc& code) {
  if (value >= errc_names.size())
    return false;
  code = static_cast<errc>(value);
  return true;
}

inline bool from_string(caf::string_view text, errc& code) {
  for (std::size_t value = 0; value < errc_names.size(); ++value)
    if (errc_names[value] == std::string_view{text.data(), text.size()})
      return from_integer(static_cast<std::uint8_t>(value), code);
  return false;
}

template <class Inspector>
bool inspect(Inspector& f, errc& x) {
  return caf::default_enum_inspect(f, x);
}

} // namespace troupe
