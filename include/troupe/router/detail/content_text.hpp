#pragma once

#include <string>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"

namespace troupe::router::detail {

/// Returns the JSON of a message. Errors: see to_json_value().
TROUPE_COMPILED result<std::string> content_text(const caf::message& what);

} // namespace troupe::router::detail

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/router/impl/content_text.ipp"
#endif
