#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <set>
#include <span>
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
#include "troupe/core/detail/tree_writer.hpp"
#include "troupe/core/detail/whole_bytes.hpp"
#include "troupe/core/json_tree.hpp"
#include "troupe/core/problem.hpp"

namespace troupe::detail {

/// Makes the tree of a value. Refuses handles of actors, messages, errors and `long double` in it.
class tree_sink final : public number_writer<tree_sink>, public whole_bytes_sink {
public:
  using tree = nlohmann::json;

  /// `depth`: how many lists and objects the tree will be in. `most`: refuses a value of which as
  /// many bytes of text are certain.
  tree_sink(tree_form form, std::size_t depth, std::size_t most = unbounded)
    : form_(form), depth_(depth), most_(most) {}

  static constexpr std::size_t unbounded = std::numeric_limits<std::size_t>::max();

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
    field->is_nested = true;
    ++depth_;
    return true;
  }

  bool end_field() override {
    depth_ -= open_.back().is_nested ? 1 : 0;
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

  using number_writer<tree_sink>::value;

  bool value(long double) override {
    return fail(errc::bad_argument, "a long double depends on the machine; send a double");
  }

  bool value(caf::string_view x) override {
    return take(x.size()) && put(std::string{x.begin(), x.end()});
  }

  bool value(const std::u16string& x) override {
    return take(x.size()) && put(std::vector<std::uint16_t>(x.begin(), x.end()));
  }

  bool value(const std::u32string& x) override {
    return take(x.size()) && put(std::vector<std::uint32_t>(x.begin(), x.end()));
  }

  /// Within a list these are some of its numbers.
  bool value(caf::span<const caf::byte> x) override {
    if (!open_.empty() && open_.back().part == tree_part::list)
      return std::ranges::all_of(x, [this](caf::byte each) { return value(each); });
    return put_bytes({reinterpret_cast<const std::byte*>(x.data()), x.size()});
  }

  bool put_bytes(std::span<const std::byte> bytes) override {
    return take(bytes.size()) && put(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }

private:
  friend class number_writer<tree_sink>;

  struct begun {
    tree_part part;
    tree* at;
    std::string name{};
    bool is_done = false;
    /// A field that holds an object with one member, for its variant.
    bool is_nested = false;

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
    if (!take(1))
      return nullptr;
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
    if (!take(is_present ? name.size() : 0))
      return nullptr;
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

  bool take(std::size_t bytes) {
    if (bytes <= most_ - used_) {
      used_ += bytes;
      return true;
    }
    return fail(errc::too_large,
                "more than " + std::to_string(most_) + " bytes of text until here");
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
  std::size_t most_;
  std::size_t used_ = 0;
  tree root_;
  bool has_root_ = false;
  /// The last one is the innermost.
  std::vector<begun> open_;
  problem fault_;
};

} // namespace troupe::detail
