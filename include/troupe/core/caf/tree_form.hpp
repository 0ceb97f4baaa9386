#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "caf/deserializer.hpp"
#include "caf/error.hpp"
#include "caf/fwd.hpp"
#include "caf/sec.hpp"
#include "caf/serializer.hpp"
#include "caf/string_view.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/stored_form.hpp"
#include "troupe/core/detail/tree_reader.hpp"
#include "troupe/core/detail/tree_writer.hpp"
#include "troupe/core/detail/whole_bytes.hpp"
#include "troupe/core/json_tree.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/utf8.hpp"

/// JSON and MessagePack of what only CAF can look into: messages of any types. See
/// core/caf/message_tree.hpp for the form.
namespace troupe::detail {

/// What has begun in a tree and has not ended.
enum class tree_part : std::uint8_t { object, field, list, map, pair };

/// Returns ".name", or nothing without a name.
inline std::string member_step(std::string_view name) {
  return name.empty() ? std::string{} : "." + std::string{name};
}

/// Returns the name of alternative `index` of a variant: that of its type.
inline std::string alternative_of(caf::span<const caf::type_id_t> types, std::size_t index) {
  auto name = index < types.size() ? caf::query_type_name(types[index]) : caf::string_view{};
  return name.empty() ? std::to_string(index) : std::string{name.begin(), name.end()};
}

/// Puts the place of what is read or written now, as ".shape.circle[2]", between `root` and `why`.
template <class Parts>
problem at_place(std::string root, const Parts& open, problem why) {
  for (auto& each : open)
    root += each.step();
  return {why.code, root + ": " + why.detail};
}

/// Makes the tree of a value. Refuses handles of actors, messages, errors and `long double` in it.
class tree_sink final : public caf::serializer, public whole_bytes_sink {
public:
  using tree = nlohmann::json;

  /// `depth`: how many lists and objects the tree will be in.
  tree_sink(tree_form form, std::size_t depth)
    : caf::serializer(nullptr), form_(form), depth_(depth) {}

  /// @pre the value is complete
  [[nodiscard]] tree take() {
    return std::move(root_);
  }

  /// Why the value was refused, with the place in it; `root` is the place of the value.
  [[nodiscard]] problem fault(std::string root) const {
    auto why = fault_;
    if (!why && get_error() == caf::sec::no_context)
      why = {errc::bad_argument, "the handle of an actor means nothing elsewhere; send an agent's "
                                 "id instead"};
    else if (!why)
      why = {errc::bad_argument, "its type refuses to be written"};
    return at_place(std::move(root), open_, std::move(why));
  }

  bool begin_object(caf::type_id_t type, caf::string_view) override {
    if (is_of_process(type))
      return fail(errc::bad_argument, "an error or another message means nothing elsewhere");
    return open(tree_part::object, tree::object());
  }

  bool end_object() override {
    return close();
  }

  bool begin_field(caf::string_view name) override {
    return open_field(name, true) != nullptr;
  }

  bool begin_field(caf::string_view name, bool is_present) override {
    return open_field(name, is_present) != nullptr;
  }

  bool begin_field(caf::string_view name, caf::span<const caf::type_id_t> types,
                   std::size_t index) override {
    return begin_field(name, true, types, index);
  }

  bool begin_field(caf::string_view name, bool is_present, caf::span<const caf::type_id_t> types,
                   std::size_t index) override {
    auto* field = open_field(name, is_present);
    if (field == nullptr || !is_present)
      return field != nullptr;
    if (depth_ == json_limits{}.max_depth)
      return fail_for_depth();
    auto alternative = alternative_of(types, index);
    field->name += "." + alternative;
    *field->at = tree::object();
    field->at = &(*field->at)[alternative];
    return true;
  }

  bool end_field() override {
    open_.pop_back();
    return true;
  }

  bool begin_tuple(std::size_t) override {
    return open(tree_part::list, tree::array());
  }

  bool end_tuple() override {
    return close();
  }

  bool begin_key_value_pair() override {
    return open(tree_part::pair, tree::array());
  }

  bool end_key_value_pair() override {
    return close();
  }

  bool begin_sequence(std::size_t) override {
    return open(tree_part::list, tree::array());
  }

  bool end_sequence() override {
    return close();
  }

  bool begin_associative_array(std::size_t) override {
    return open(tree_part::map, tree::array());
  }

  bool end_associative_array() override {
    name_members(*open_.back().at);
    return close();
  }

  bool value(caf::byte x) override {
    return put(static_cast<std::uint8_t>(x));
  }

  bool value(bool x) override {
    return put(x);
  }

  bool value(std::int8_t x) override {
    return put(x);
  }

  bool value(std::uint8_t x) override {
    return put(x);
  }

  bool value(std::int16_t x) override {
    return put(x);
  }

  bool value(std::uint16_t x) override {
    return put(x);
  }

  bool value(std::int32_t x) override {
    return put(x);
  }

  bool value(std::uint32_t x) override {
    return put(x);
  }

  bool value(std::int64_t x) override {
    return put(x);
  }

  bool value(std::uint64_t x) override {
    return put(x);
  }

  bool value(float x) override {
    return put(x);
  }

  bool value(double x) override {
    return put(x);
  }

  bool value(long double) override {
    return fail(errc::bad_argument, "a long double depends on the machine; send a double");
  }

  bool value(caf::string_view x) override {
    return put(std::string{x.begin(), x.end()});
  }

  bool value(const std::u16string& x) override {
    return put(std::vector<std::uint16_t>(x.begin(), x.end()));
  }

  bool value(const std::u32string& x) override {
    return put(std::vector<std::uint32_t>(x.begin(), x.end()));
  }

  /// Within a list these are some of its numbers.
  bool value(caf::span<const caf::byte> x) override {
    if (!open_.empty() && open_.back().part == tree_part::list)
      return std::ranges::all_of(x, [this](caf::byte each) { return value(each); });
    return put_bytes({reinterpret_cast<const std::byte*>(x.data()), x.size()});
  }

  bool put_bytes(std::span<const std::byte> bytes) override {
    return put(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

private:
  struct begun {
    tree_part part;
    tree* at;
    std::string name{};
    bool is_done = false;

    [[nodiscard]] std::string step() const {
      if (part == tree_part::field)
        return member_step(name);
      return part == tree_part::object || at->empty() ? ""
                                                      : "[" + std::to_string(at->size() - 1) + "]";
    }
  };

  /// Returns the place of the next value; nullptr, with a fault, if there is none. It stays where
  /// it is, since only the innermost list grows.
  tree* place() {
    if (open_.empty() || open_.back().part == tree_part::field) {
      auto& is_done = open_.empty() ? has_root_ : open_.back().is_done;
      if (!std::exchange(is_done, true))
        return open_.empty() ? &root_ : open_.back().at;
    } else if (open_.back().part != tree_part::object) {
      return &open_.back().at->emplace_back(nullptr);
    }
    fail(errc::bad_argument, "more than one value without a name; its inspect must name fields");
    return nullptr;
  }

  template <class T>
  bool put(const T& what) {
    auto* to = place();
    if (to == nullptr)
      return false;
    tree_writer writer{form_};
    if (writer.put(what, *to))
      return true;
    auto why = writer.fault();
    return fail(why.code, std::move(why.detail));
  }

  bool open(tree_part part, tree nothing) {
    auto* to = place();
    if (to == nullptr)
      return false;
    if (depth_ == json_limits{}.max_depth)
      return fail_for_depth();
    *to = std::move(nothing);
    open_.push_back({part, to});
    ++depth_;
    return true;
  }

  bool close() {
    open_.pop_back();
    --depth_;
    return true;
  }

  begun* open_field(caf::string_view view, bool is_present) {
    std::string name{view.begin(), view.end()};
    if (open_.empty() || open_.back().part != tree_part::object) {
      fail(errc::bad_argument, "a field outside of an object");
      return nullptr;
    }
    auto* of = open_.back().at;
    tree* at = nullptr;
    if (is_present) {
      auto [member, is_first] = of->emplace(name, nullptr);
      if (!is_first) {
        fail(errc::bad_argument, "two fields are called \"" + name + "\"");
        return nullptr;
      }
      at = &*member;
    }
    open_.push_back({tree_part::field, at, std::move(name), !is_present});
    return &open_.back();
  }

  /// Makes an object of a list of pairs whose keys are texts, unless two are the same.
  static void name_members(tree& list) {
    std::set<std::string_view> names;
    for (auto& each : list)
      if (each.size() != 2 || !each[0].is_string()
          || !names.insert(each[0].get_ref<const std::string&>()).second)
        return;
    auto members = tree::object();
    for (auto& each : list)
      members.emplace(each[0].get_ref<const std::string&>(), std::move(each[1]));
    list = std::move(members);
  }

  bool fail_for_depth() {
    return fail(errc::too_large, "nested deeper than " + std::to_string(json_limits{}.max_depth)
                                   + ", which no reader accepts");
  }

  bool fail(errc code, std::string detail) {
    emplace_error(caf::sec::invalid_argument);
    fault_ = {code, std::move(detail)};
    return false;
  }

  tree_form form_;
  std::size_t depth_;
  tree root_;
  bool has_root_ = false;
  /// The last one is the innermost.
  std::vector<begun> open_;
  problem fault_;
};

/// Reads what a tree_sink has made, or a stranger. Of fields that are missing, structs and numbers
/// keep what their type gives them, lists are empty, and variants hold their first alternative.
class tree_source final : public caf::deserializer, public whole_bytes_source {
public:
  using tree = nlohmann::json;

  tree_source(const tree& from, json_limits limits, memory_budget& memory)
    : caf::deserializer(nullptr), root_(from), limits_(limits), memory_(memory) {}

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

  bool value(caf::byte& x) override {
    auto read = static_cast<std::uint8_t>(x);
    auto ok = get(read);
    x = static_cast<caf::byte>(read);
    return ok;
  }

  bool value(bool& x) override {
    return get(x);
  }

  bool value(std::int8_t& x) override {
    return get(x);
  }

  bool value(std::uint8_t& x) override {
    return get(x);
  }

  bool value(std::int16_t& x) override {
    return get(x);
  }

  bool value(std::uint16_t& x) override {
    return get(x);
  }

  bool value(std::int32_t& x) override {
    return get(x);
  }

  bool value(std::uint32_t& x) override {
    return get(x);
  }

  bool value(std::int64_t& x) override {
    return get(x);
  }

  bool value(std::uint64_t& x) override {
    return get(x);
  }

  bool value(float& x) override {
    return get(x);
  }

  bool value(double& x) override {
    return get(x);
  }

  bool value(long double&) override {
    return fail("a long double depends on the machine");
  }

  bool value(std::string& x) override {
    return get(x);
  }

  bool value(std::u16string& x) override {
    return get_units<std::uint16_t>(x);
  }

  bool value(std::u32string& x) override {
    return get_units<std::uint32_t>(x);
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

  template <class Unit, class Text>
  bool get_units(Text& into) {
    std::size_t size = 0;
    if (!begin_sequence(size))
      return false;
    into.clear();
    for (Unit each = 0; size > 0; --size) {
      if (!get(each))
        return false;
      into.push_back(static_cast<typename Text::value_type>(each));
    }
    return end_sequence();
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
