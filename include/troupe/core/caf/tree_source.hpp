#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/error.hpp"
#include "caf/fwd.hpp"
#include "caf/sec.hpp"
#include "caf/string_view.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/numbers.hpp"
#include "troupe/core/caf/stored_form.hpp"
#include "troupe/core/caf/tree_place.hpp"
#include "troupe/core/detail/tree_reader.hpp"
#include "troupe/core/detail/whole_bytes.hpp"
#include "troupe/core/json_tree.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/utf8.hpp"

namespace troupe::detail {

/// Reads what a tree_sink has made, or a stranger. Of fields that are missing, structs and numbers
/// keep what their type gives them, lists are empty, and variants hold their first alternative.
class tree_source final : public number_reader<tree_source>, public whole_bytes_source {
public:
  using tree = nlohmann::json;

  tree_source(const tree& from, json_limits limits, memory_budget& memory)
    : root_(from), limits_(limits), memory_(memory) {}

  /// Why the value was refused, with the place in it; `root` is the place of the value.
  [[nodiscard]] problem fault(std::string root) const {
    auto why = fault_;
    if (!why && get_error() == caf::sec::no_context)
      why = {errc::bad_argument, "the handle of an actor cannot be read"};
    else if (!why && get_error() == caf::sec::runtime_error)
      why = {errc::bad_argument, "this key is given twice"};
    else if (!why)
      why = {errc::bad_argument, "its type does not take this value"};
    return at_place(std::move(root), open_, std::move(why));
  }

  bool fetch_next_object_type(caf::type_id_t&) override {
    return fail("the type of a part is not known before it is read");
  }

  bool begin_object(caf::type_id_t type, caf::string_view) override {
    if (is_of_process(type))
      return fail("an error or another message cannot be read");
    auto* from = next();
    if (from != nullptr && !from->is_object())
      return expected("an object", *from);
    return open({tree_part::object, from});
  }

  bool end_object() override {
    return close();
  }

  bool begin_field(caf::string_view name) override {
    return open_field(name);
  }

  bool begin_field(caf::string_view name, bool& is_present) override {
    if (!open_field(name))
      return false;
    auto& at = open_.back().at;
    if (at != nullptr && at->is_null())
      at = nullptr;
    is_present = at != nullptr;
    return true;
  }

  bool begin_field(caf::string_view name, caf::span<const caf::type_id_t> types,
                   std::size_t& index) override {
    index = 0;
    return open_field(name) && (open_.back().at == nullptr || choose(types, index));
  }

  bool begin_field(caf::string_view name, bool& is_present, caf::span<const caf::type_id_t> types,
                   std::size_t& index) override {
    index = 0;
    return begin_field(name, is_present) && (!is_present || choose(types, index));
  }

  bool end_field() override {
    return close();
  }

  bool begin_tuple(std::size_t size) override {
    auto* from = next();
    if (from != nullptr && (!from->is_array() || from->size() != size))
      return expected("a list of " + std::to_string(size), *from);
    return open({tree_part::list, from});
  }

  bool end_tuple() override {
    return close();
  }

  bool begin_sequence(std::size_t& size) override {
    auto* from = next();
    if (from != nullptr && !from->is_array())
      return expected("a list", *from);
    size = from != nullptr ? from->size() : 0;
    return take(sizeof(std::vector<int>) + size * bytes_per_element)
           && open({tree_part::list, from});
  }

  bool end_sequence() override {
    return close();
  }

  bool begin_associative_array(std::size_t& size) override {
    auto* from = next();
    if (from != nullptr && !from->is_object() && !from->is_array())
      return expected("an object, or a list of pairs", *from);
    size = from != nullptr ? from->size() : 0;
    begun map{tree_part::map, from};
    if (from != nullptr && from->is_object())
      map.member = from->begin();
    return take(sizeof(std::set<int>) + size * bytes_per_node) && open(std::move(map));
  }

  bool end_associative_array() override {
    return close();
  }

  bool begin_key_value_pair() override {
    auto& map = open_.back();
    begun pair{tree_part::pair, map.at};
    if (map.at != nullptr && map.at->is_object()) {
      assert(map.member != map.at->end());
      map.name = map.member.key();
      pair.name = map.name;
      pair.member = map.member++;
    } else {
      auto* from = next();
      if (from != nullptr && (!from->is_array() || from->size() != 2))
        return expected("a list of 2", *from);
      pair.at = from;
    }
    return open(std::move(pair));
  }

  bool end_key_value_pair() override {
    return close();
  }

  using number_reader<tree_source>::value;

  bool value(long double&) override {
    return fail("a long double depends on the machine");
  }

  bool value(std::string& x) override {
    return get(x);
  }

  bool value(caf::span<caf::byte> x) override {
    if (!open_.empty() && open_.back().part == tree_part::list)
      return std::ranges::all_of(x, [this](caf::byte& each) { return value(each); });
    std::vector<std::byte> bytes(x.size());
    if (!get_bytes(bytes))
      return false;
    if (bytes.size() != x.size())
      return fail("expected " + std::to_string(x.size()) + " bytes, found "
                  + std::to_string(bytes.size()));
    std::ranges::transform(bytes, x.begin(),
                           [](std::byte each) { return static_cast<caf::byte>(each); });
    return true;
  }

  bool get_bytes(std::vector<std::byte>& bytes) override {
    return get(bytes);
  }

private:
  friend class number_reader<tree_source>;

  struct begun {
    tree_part part;
    /// Nothing: it is missing.
    const tree* at;
    std::string name{};
    /// Of a map that is an object: the next; of a pair in it: this one.
    tree::const_iterator member{};
    /// How many values have been asked for.
    std::size_t asked = 0;

    [[nodiscard]] std::string step() const {
      switch (part) {
        case tree_part::field:
          return member_step(name);
        case tree_part::map:
          if (at != nullptr && at->is_object())
            return "[\"" + std::string{utf8_prefix(name, 40)} + "\"]";
          [[fallthrough]];
        case tree_part::list:
          return asked == 0 ? "" : "[" + std::to_string(asked - 1) + "]";
        case tree_part::pair:
          return at == nullptr || at->is_object() || asked == 0
                   ? ""
                   : "[" + std::to_string(asked - 1) + "]";
        case tree_part::object:
          break;
      }
      return "";
    }
  };

  /// Returns where the next value is read from; nothing if it is missing.
  const tree* next() {
    if (open_.empty())
      return &root_;
    auto& last = open_.back();
    auto index = last.asked++;
    if (last.at == nullptr || last.part == tree_part::field)
      return last.at;
    if (last.part == tree_part::pair && last.at->is_object()) {
      if (index > 0)
        return &*last.member;
      key_ = last.name;
      return &key_;
    }
    return last.at->is_array() && index < last.at->size() ? &(*last.at)[index] : nullptr;
  }

  template <class T>
  bool get(T& into) {
    auto* from = next();
    if (!take(2 * sizeof(T))) // a list that grows has its elements twice
      return false;
    if (from == nullptr)
      return true;
    tree_reader reader{limits_, memory_};
    if (reader.get(into, *from))
      return true;
    fault_ = reader.fault();
    return refuse();
  }

  bool open_field(caf::string_view view) {
    if (open_.empty() || open_.back().part != tree_part::object)
      return fail("a field outside of an object");
    std::string name{view.begin(), view.end()};
    const tree* at = nullptr;
    if (auto* of = open_.back().at)
      if (auto found = of->find(name); found != of->end())
        at = &*found;
    begun field{tree_part::field, at};
    field.name = std::move(name);
    return open(std::move(field));
  }

  /// Finds the alternative that the field, which is there, names. Its index is accepted as well.
  bool choose(caf::span<const caf::type_id_t> types, std::size_t& index) {
    auto& field = open_.back();
    if (!field.at->is_object() || field.at->size() != 1)
      return expected("an object with one member", *field.at);
    auto given = field.at->begin();
    std::string known;
    for (index = 0; index < types.size(); ++index) {
      auto name = alternative_of(types, index);
      if (given.key() == name || given.key() == std::to_string(index)) {
        field.name += "." + given.key();
        field.at = &*given;
        return true;
      }
      known += (known.empty() ? "" : ", ") + name;
    }
    return expected("one member of: " + known, tree(given.key()));
  }

  bool open(begun what) {
    if (open_.size() > max_open)
      return fail("nested deeper than its type may be");
    open_.push_back(std::move(what));
    return true;
  }

  bool close() {
    open_.pop_back();
    return true;
  }

  bool take(std::size_t bytes) {
    if (memory_.take(bytes))
      return true;
    fault_ = {errc::too_large, memory_fault(limits_)};
    return refuse();
  }

  bool expected(const std::string& what, const tree& found) {
    return fail("expected " + what + ", found " + tree_reader::describe(found));
  }

  bool fail(std::string detail) {
    fault_ = {errc::bad_argument, std::move(detail)};
    return refuse();
  }

  bool refuse() {
    emplace_error(caf::sec::invalid_argument);
    return false;
  }

  /// What an element of a list, or of a map, takes beside its numbers and texts.
  static constexpr std::size_t bytes_per_element = 16;
  static constexpr std::size_t bytes_per_node = 48;
  /// A struct and its field are two.
  static constexpr std::size_t max_open = 3 * max_nesting;

  const tree& root_;
  json_limits limits_;
  memory_budget& memory_;
  /// The key of a map that is read now.
  tree key_;
  /// The last one is the innermost.
  std::vector<begun> open_;
  problem fault_;
};

} // namespace troupe::detail
