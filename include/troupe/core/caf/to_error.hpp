#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "caf/error.hpp"
#include "caf/exit_reason.hpp"
#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/plain_types.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/core/problem.hpp"

namespace troupe {

/// Returns `why` as the answer to a request: callers compare it with an errc,
/// logs print it with its sentence.
inline caf::error to_error(problem why) {
  return caf::make_error(why.code, std::move(why.detail));
}

namespace detail {

/// The types of what a message holds: "int32_t, std::string".
inline std::string types_in(const caf::message& what) {
  std::string list;
  for (std::size_t each = 0; each < what.size(); ++each) {
    auto name = caf::query_type_name(what.type_at(each));
    list
      += (list.empty() ? "" : ", ")
         + (name.empty() ? std::string{"an unknown type"} : std::string{name.begin(), name.end()});
  }
  return list.empty() ? "nothing" : list;
}

/// Whether CAF can print `what` whatever a peer has written there. It prints the code of an error
/// as its category says, which may be anything, also where the error lies in other values.
inline bool is_printable(const caf::message& what) {
  for (std::size_t each = 0; each < what.size(); ++each)
    if (auto type = what.type_at(each);
        !plain_types::is_printable(type) && type != caf::type_id_v<errc>)
      return false;
  return true;
}

/// The text of CAF for `why`, as far as that can be had: of what CAF cannot print safely, the
/// numbers and types.
inline std::string in_words(const caf::error& why) {
  if (!why)
    return to_string(why);
  auto prints = is_printable(why.context());
  auto is_known
    = why.category() == caf::type_id_v<errc> || plain_types::is_error_code(why.category());
  if (prints && is_known)
    return to_string(why);
  auto name = caf::query_type_name(why.category());
  auto words
    = name.empty() ? std::string{"an unknown error"} : std::string{name.begin(), name.end()};
  words += '(' + std::to_string(why.code()) + ')';
  if (!why.context())
    return words;
  return words + ": " + (prints ? to_string(why.context()) : types_in(why.context()));
}

} // namespace detail

/// Returns the problem that `why` carries; an error of CAF itself becomes the nearest
/// of our codes, with its own text.
inline problem to_problem(const caf::error& why) {
  if (why.category() == caf::type_id_v<errc> && why.code() != 0) {
    const auto& text = why.context();
    return {static_cast<errc>(why.code()), text.match_elements<std::string>()
                                             ? text.get_as<std::string>(0)
                                             : detail::in_words(why)};
  }
  if (why == caf::sec::request_timeout)
    return {errc::timed_out, "no answer in time; look at the state before a repeat"};
  if (why == caf::sec::broken_promise)
    return {errc::outcome_unknown, "the receiver ended, or dropped the request, before its answer; "
                                   "look at the state before a repeat"};
  if (why == caf::sec::request_receiver_down || why == caf::exit_reason::remote_link_unreachable)
    return {errc::unreachable,
            "the receiver is gone (" + detail::in_words(why) + "); resolve it again"};
  if (why == caf::sec::unexpected_message)
    return {errc::wrong_type,
            "the receiver has no function for a message of these types; send exactly "
            "what one of its functions takes"};
  if (why == caf::sec::unexpected_response)
    return {errc::wrong_type, "the answer is " + detail::types_in(why.context())
                                + ", which is not the type that was asked for; ask for what the "
                                  "receiver's function returns"};
  return {errc::failed, detail::in_words(why)};
}

} // namespace troupe
