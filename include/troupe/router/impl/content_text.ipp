#ifndef TROUPE_ROUTER_IMPL_CONTENT_TEXT_IPP
#define TROUPE_ROUTER_IMPL_CONTENT_TEXT_IPP

#include <cstddef>
#include <string>

#include "caf/message.hpp"
#include "troupe/core/caf/message_tree.hpp"
#include "troupe/core/result.hpp"
#include "troupe/router/detail/content_text.hpp"

namespace troupe::router::detail {

TROUPE_COMPILED result<std::string> content_text(const caf::message& what, std::size_t most) {
  return to_json(what, most);
}

} // namespace troupe::router::detail

#endif
