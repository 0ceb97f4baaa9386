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
#include "troupe/core/errc.hpp"
#include "troupe/core/problem.hpp"

/// The one list of type-ID ranges. IDs are wire format: a part keeps its range
/// for ever, new types go to the end of the part's block.
namespace troupe::type_ids {

/// IDs below belong to the application.
inline constexpr caf::type_id_t core = caf::first_custom_type_id + 1000;
inline constexpr caf::type_id_t host = core + 100;
inline constexpr caf::type_id_t lock = core + 200;
inline constexpr caf::type_id_t registry = core + 300;
inline constexpr caf::type_id_t scheduler = core + 400;
inline constexpr caf::type_id_t router = core + 500;
inline constexpr caf::type_id_t state = core + 600;
inline constexpr caf::type_id_t node = core + 700;
inline constexpr caf::type_id_t net = core + 800;
/// IDs from here on belong to the application, too.
inline constexpr caf::type_id_t end = core + 3000;

} // namespace troupe::type_ids

namespace troupe {

/// See answer_path. Goes over no link itself.
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
