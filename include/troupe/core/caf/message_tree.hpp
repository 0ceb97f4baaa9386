#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/message.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/incoming_message.hpp"
#include "troupe/core/caf/tree_sink.hpp"
#include "troupe/core/caf/tree_source.hpp"
#include "troupe/core/detail/tree_writer.hpp"
#include "troupe/core/json_tree.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/msgpack.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"

/// JSON and MessagePack of messages of any types that this program has registered, for people and
/// for other languages. A message is a list with an object for each element:
///
///     [{"type": "shop::take_ticket", "value": {"holder": "Ada"}}]
///
/// The value is as core/json.hpp has it, as far as CAF tells what it is:
///
/// - A variant is an object with one member: the name of the type that it holds as a message has
///   it, or its index, {"shop::circle": {…}}.
/// - A std::optional, or a variant, that is no field of a struct but an element of a list, is an
///   object with one field, "value".
/// - An enum is its number, and a struct with a text form is an object.
/// - A map is an object if its keys are texts, all different. Both forms are read.
/// - A std::vector<std::byte> is base64, in MessagePack bytes; so is what goes between nodes in our
///   own form. Other bytes are lists of numbers.
/// - Of a field that is missing, a list is empty, a variant holds its first alternative, an enum or
///   a time is zero; numbers, texts and structs keep their default.
///
/// Infinity and NaN are refused in JSON. Refused are handles of actors, errors, messages within
/// messages and `long double`: they mean nothing elsewhere.
namespace troupe {

namespace detail {

/// Returns the tree of `what` in that form. `most`: refuses an element with so many bytes.
inline result<nlohmann::json> write_message(const caf::message& what, tree_form form,
                                            std::size_t most = tree_sink::unbounded) {
  constexpr std::size_t list_and_element = 2;
  auto all = nlohmann::json::array();
  for (std::size_t index = 0; index < what.size(); ++index) {
    auto name = caf::query_type_name(what.types()[index]);
    tree_sink sink{form, list_and_element, most};
    if (!compat::save_element(what, index, sink))
      return sink.fault("[" + std::to_string(index) + "].value");
    auto& made = all.emplace_back(nlohmann::json::object());
    made["type"] = std::string{name.begin(), name.end()};
    made["value"] = sink.take();
  }
  return all;
}

/// Returns why `from` is no element of a message; takes its memory and adds its type to `types`.
inline problem check_element(const nlohmann::json& from, json_limits limits, memory_budget& memory,
                             std::vector<caf::type_id_t>& types) {
  auto place = "[" + std::to_string(types.size()) + "]";
  auto type = from.find("type");
  if (!from.is_object() || type == from.end() || !type->is_string() || !from.contains("value"))
    return {errc::bad_argument,
            place + ": expected an object with \"type\", a text, and \"value\", found "
              + tree_reader::describe(from)};
  auto& name = type->get_ref<const std::string&>();
  // CAF has no name for the numbers between blocks.
  auto found = name.empty() ? caf::invalid_type_id : caf::query_type_id(name);
  if (found == caf::invalid_type_id)
    return {errc::incompatible, place + ".type: this program has no message type " + shortened(name)
                                  + "; start one that has it in a block of messages"};
  if (!memory.take(compat::bytes_in_memory(found)))
    return {errc::too_large, place + ": " + memory_fault(limits)};
  types.push_back(found);
  return {};
}

/// Whether CAF may remember this list of types, as it does for ever with each.
inline bool may_be_listed(const std::vector<caf::type_id_t>& types) {
  static incoming_message::known_lists known{incoming_message::max_lists};
  incoming_message::type_list list;
  for (auto each : types)
    list.ids[list.count++] = each;
  return known.add(list);
}

inline result<caf::message> read_message(const nlohmann::json& from, json_limits limits,
                                         memory_budget& memory) {
  if (!from.is_array())
    return problem{errc::bad_argument,
                   "a message is a list of its elements, found " + tree_reader::describe(from)};
  if (from.size() > incoming_message::max_elements)
    return problem{errc::too_large, "a message of " + std::to_string(from.size()) + " elements; "
                                      + std::to_string(incoming_message::max_elements)
                                      + " are read at most"};
  std::vector<caf::type_id_t> types;
  for (auto& each : from)
    if (auto why = check_element(each, limits, memory, types))
      return why;
  if (!may_be_listed(types))
    return problem{errc::limit_reached, "messages of " + std::to_string(incoming_message::max_lists)
                                          + " different lists of types have been read"};
  problem fault;
  auto made = compat::load_elements(types, [&](std::size_t index, auto read) {
    tree_source source{*from[index].find("value"), limits, memory};
    if (read(source))
      return true;
    fault = source.fault("[" + std::to_string(index) + "].value");
    return false;
  });
  if (!made)
    return fault;
  return *std::move(made);
}

/// Reads a message from a tree, unless that is a refusal, with the memory that the tree has left.
inline result<caf::message> take_message(result<nlohmann::json> from, json_limits limits,
                                         memory_budget& memory) {
  if (!from)
    return from.error();
  auto made = read_message(*from, limits, memory);
  take_down(*from);
  return made;
}

} // namespace detail

/// Returns the tree for `what`. Errors: bad_argument (it holds what cannot be written),
/// too_large (nested deeper than any reader accepts); they name the place:
/// "[0].value.pieces[2]: …".
inline result<nlohmann::json> to_json_value(const caf::message& what) {
  return detail::write_message(what, detail::tree_form::json);
}

/// Returns `what` as one line of text, members in the order of their names. `most`: too_large as
/// soon as an element surely has so many bytes.
inline result<std::string> to_json(const caf::message& what,
                                   std::size_t most = detail::tree_sink::unbounded) {
  auto tree = detail::write_message(what, detail::tree_form::json, most);
  if (!tree)
    return tree.error();
  return tree->dump();
}

/// Returns `what` as MessagePack.
inline result<std::string> to_msgpack(const caf::message& what) {
  auto tree = detail::write_message(what, detail::tree_form::msgpack);
  if (!tree)
    return tree.error();
  return write_msgpack(*tree);
}

/// Returns the message that `from` stands for, of either form, with as much memory as it needs.
/// Errors: incompatible (this program has no such type), bad_argument, too_large (more elements
/// than a message from another process may have), limit_reached (of lists of types: CAF keeps
/// each); they name the place.
inline result<caf::message> to_message(const nlohmann::json& from) {
  auto memory = memory_budget::unlimited();
  return detail::read_message(from, {}, memory);
}

/// Returns the message that `text`, which may be a stranger's, stands for; see parse_json() for
/// what else is refused. A type is charged the memory of what its inspect names.
inline result<caf::message> message_from_json(std::string_view text, json_limits limits = {}) {
  auto memory = detail::budget_for(text, limits);
  return detail::take_message(detail::parse_json(text, limits, memory), limits, memory);
}

/// The same for MessagePack.
inline result<caf::message> message_from_msgpack(std::string_view bytes, json_limits limits = {}) {
  auto memory = detail::budget_for(bytes, limits);
  return detail::take_message(detail::parse_msgpack(bytes, limits, memory), limits, memory);
}

} // namespace troupe
