#pragma once

#include <cstddef>
#include <string>

#include "caf/fwd.hpp"
#include "troupe/core/compiled.hpp"
#include "troupe/core/result.hpp"

namespace troupe::router::detail {

/// Returns the JSON of a message, if that has no more than `most` bytes by far. Errors: see
/// to_json().
TROUPE_COMPILED result<std::string> content_text(const caf::message& what, std::size_t most);

} // namespace troupe::router::detail

#ifndef TROUPE_SEPARATE_COMPILATION
#include "troupe/router/impl/content_text.ipp"
#endif
