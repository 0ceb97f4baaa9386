#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/stored_form.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/stored_element.hpp"

namespace troupe {

/// Returns a message in our own form, each element with the name of its type: so it may be read by
/// another program, or a later release of this one, whatever numbers the types have there. Error:
/// bad_argument (it holds the handle of an actor, an error, another message or a `long double`,
/// which mean nothing elsewhere).
inline result<std::string> to_stored(const caf::message& what) {
  std::vector<detail::stored_element> all;
  all.reserve(what.size());
  for (std::size_t index = 0; index < what.size(); ++index) {
    auto name = caf::query_type_name(what.types()[index]);
    detail::stored_writer sink;
    if (!compat::save_element(what, index, sink))
      return problem{errc::bad_argument,
                     "a " + std::string{name.begin(), name.end()}
                       + " cannot be stored, as it holds the handle of an actor, an error, another "
                         "message or a long double; send an agent's id instead of a handle"};
    all.push_back({std::string{name.begin(), name.end()}, sink.take()});
  }
  encoder made;
  made.put(all);
  return made.take();
}

/// Reads what to_stored() has made. Errors: incompatible (this program has no such type), damaged.
/// Allocates what the bytes say, which are not from a stranger.
inline result<caf::message> from_stored(std::string_view bytes) {
  std::vector<detail::stored_element> all;
  if (decoder from{bytes}; !from.get(all) || !from.at_end())
    return problem{errc::damaged, "a stored message cannot be read"};
  std::vector<caf::type_id_t> types;
  types.reserve(all.size());
  for (auto& each : all) {
    // CAF has no name for the numbers between blocks.
    types.push_back(each.type.empty() ? caf::invalid_type_id : caf::query_type_id(each.type));
    if (types.back() == caf::invalid_type_id)
      return problem{errc::incompatible, "this program has no message type " + shortened(each.type)
                                           + "; start one that has it in a block of messages"};
  }
  auto made = compat::load_elements(types, [&all](std::size_t index, auto read) {
    detail::stored_reader from{all[index].value};
    return read(from) && from.at_end();
  });
  if (!made)
    return problem{errc::damaged, "the content of a stored message cannot be read"};
  return *std::move(made);
}

} // namespace troupe
