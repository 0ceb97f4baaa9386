#pragma once

#include <algorithm>
#include <cstddef>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cli.hpp"
#include "troupe/core/names.hpp"
#include "troupe/router/dead_letter.hpp"

/// Which dead letter a user means, and what has become of those that were to go again.
namespace cli {

/// Whether `called` may stand for the id of a message, NODE:BOOT:NUMBER, without being all of it.
inline bool may_begin_letter(std::string_view called) {
  return called.size() >= troupe::min_id_digits
         && called.find_first_not_of("0123456789abcdef:") == std::string_view::npos;
}

/// Whether `called` is a beginning of `id`, or all of it but for digits at the end of its node.
inline bool stands_for_letter(std::string_view called, std::string_view id) {
  if (troupe::begins_id(called, id))
    return true;
  auto node = called.substr(0, called.find(':'));
  return node.size() < called.size() && troupe::begins_id(node, id)
         && called.substr(node.size()) == id.substr(std::min(id.find(':'), id.size()));
}

/// The one of these ids that `called` stands for. Errors: not_found, bad_argument (several).
inline troupe::result<std::string> choose_letter(const std::string& called,
                                                 const std::set<std::string>& ids) {
  std::vector<std::string> found;
  for (auto& each : ids)
    if (stands_for_letter(called, each))
      found.push_back(each);
  if (found.empty())
    return troupe::problem{troupe::errc::not_found,
                           "no node keeps a dead letter whose id begins with "
                             + troupe::shortened(called) + "; see troupe dead-letters"};
  if (found.size() == 1)
    return found.front();
  auto others = found.size() - 2;
  return troupe::problem{troupe::errc::bad_argument,
                         std::to_string(found.size()) + " dead letters are meant by '" + called
                           + "': " + found[0] + (others > 0 ? ", " : " and ") + found[1]
                           + (others > 0 ? " and " + counted(others, "other") : "")
                           + "; give more of the id"};
}

/// What has happened at `node`, a line for each; none if it had nothing to do.
inline std::vector<std::string> in_lines(const troupe::router::redrive_receipt& what,
                                         const std::string& id, const std::string& node) {
  std::vector<std::string> all;
  auto are
    = [](std::size_t count) { return counted(count, "message") + (count == 1 ? " is" : " are"); };
  if (what.applied_already > 0)
    all.push_back(id + " was applied already, at " + node);
  if (what.redriven > 0)
    all.push_back(are(what.redriven) + " on the way again at " + node);
  if (what.refused > 0)
    all.push_back(are(what.refused) + " refused at " + node
                  + ": no room, so try again, or too old (class once)");
  if (what.unreadable > 0)
    all.push_back(counted(what.unreadable, "message") + " cannot be read at " + node
                  + (what.unreadable == 1 ? ", send it again" : ", send them again"));
  return all;
}

} // namespace cli
