#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/base64.hpp"
#include "troupe/core/detail/tree_names.hpp"
#include "troupe/core/inspection.hpp"
#include "troupe/core/json_tree.hpp"
#include "troupe/core/visit.hpp"

namespace troupe::detail {

/// The format that a tree is written in. JSON has no bytes, and only finite numbers.
enum class tree_form : std::uint8_t { json, msgpack };

/// Makes a tree of any value that has an `inspect`. Nests no deeper than a reader with default
/// limits accepts.
class tree_writer {
public:
  using tree = nlohmann::json;

  static constexpr bool is_loading = false;

  explicit tree_writer(tree_form form) : form_(form) {}

  template <class T>
  auto object(T&) {
    return fields_of<tree_writer>{*this};
  }

  template <class T>
  static named_field<T> field(std::string_view name, T& value) {
    return {name, value};
  }

  template <class... Ts>
  bool apply_fields(named_field<Ts>&... fields) {
    auto& to = *here_;
    to = tree::object();
    return nested([&] { return (put_field(fields, to) && ...); });
  }

  template <class T>
  bool put(const T& value, tree& to) {
    return put(as_shape<shape_of<T>>{}, value, to);
  }

  /// Why put() returned false, with the path to the faulty value.
  [[nodiscard]] problem fault() const {
    auto path = std::string_view{path_};
    if (path.starts_with('.'))
      path.remove_prefix(1);
    return {fault_.code, path.empty() ? fault_.detail : std::string{path} + ": " + fault_.detail};
  }

private:
  template <class T>
  bool put_field(named_field<T> field, tree& to) {
    if constexpr (shape_of<T> == shape::optional)
      if (!field.value)
        return true; // absent
    return put(field.value, to[std::string{field.name}]) || within("." + std::string{field.name});
  }

  bool put(as_shape<shape::boolean>, bool value, tree& to) {
    to = value;
    return true;
  }

  template <class T>
  bool put(as_shape<shape::enumeration>, T value, tree& to) {
    if constexpr (named_enum<T>) {
      std::string_view name = name_of(value);
      if (find_named<T>(name) == value)
        return put(std::string{name}, to);
    }
    return put(static_cast<std::underlying_type_t<T>>(value), to);
  }

  template <class T>
  bool put(as_shape<shape::integer>, T value, tree& to) {
    to = static_cast<std::conditional_t<std::is_signed_v<T>, std::int64_t, std::uint64_t>>(value);
    return true;
  }

  bool put(as_shape<shape::real>, double value, tree& to) {
    if (form_ == tree_form::json && !std::isfinite(value))
      return fail(errc::bad_argument,
                  "JSON has no number for infinity or NaN; leave the field out instead");
    to = value;
    return true;
  }

  bool put(as_shape<shape::span>, duration value, tree& to) {
    return put(value.count(), to);
  }

  template <class Moment>
  bool put(as_shape<shape::moment>, Moment value, tree& to) {
    return put(value.time_since_epoch(), to);
  }

  bool put(as_shape<shape::text>, const std::string& value, tree& to) {
    if (!is_utf8(value))
      return fail(errc::bad_argument, "a text that is not UTF-8; send bytes instead");
    to = value;
    return true;
  }

  template <class T>
  requires text_like<T> || read_from_text<T>
  bool put(as_shape<shape::text> shape, const T& value, tree& to) {
    return put(shape, value.text(), to);
  }

  bool put(as_shape<shape::bytes>, std::span<const std::byte> value, tree& to) {
    if (form_ == tree_form::json) {
      to = to_base64(value);
    } else {
      auto first = reinterpret_cast<const std::uint8_t*>(value.data());
      to = tree::binary({first, first + value.size()});
    }
    return true;
  }

  bool put(as_shape<shape::byte_block>, std::span<const std::byte> value, tree& to) {
    return put(as_shape<shape::bytes>{}, value, to);
  }

  template <class Block>
  bool put(as_shape<shape::block>, const Block& value, tree& to) {
    return put(as_shape<shape::list>{}, value, to);
  }

  template <class Tuple>
  bool put(as_shape<shape::tuple>, const Tuple& value, tree& to) {
    to = tree::array();
    return nested([&] {
      return std::apply([&](const auto&... each) { return (append(each, to) && ...); }, value);
    });
  }

  template <class Map>
  bool put(as_shape<shape::map>, const Map& value, tree& to) {
    if constexpr (is_name<typename Map::key_type>) {
      to = tree::object();
      return nested([&] {
        for (const auto& [key, mapped] : value)
          if (!put_member(key, mapped, to))
            return false;
        return true;
      });
    } else {
      return put(as_shape<shape::list>{}, value, to);
    }
  }

  template <class Key, class Mapped>
  bool put_member(const Key& key, const Mapped& mapped, tree& to) {
    tree name;
    if (!put(key, name))
      return within(".(key)");
    auto& text = name.template get_ref<const std::string&>();
    return put(mapped, to[text]) || within("[\"" + text + "\"]");
  }

  template <class List>
  bool put(as_shape<shape::list>, const List& value, tree& to) {
    to = tree::array();
    return nested([&] {
      for (const typename List::value_type& each : value)
        if (!append(each, to))
          return false;
      return true;
    });
  }

  template <class T>
  bool put(as_shape<shape::optional>, const std::optional<T>& value, tree& to) {
    static_assert(shape_of<T> != shape::optional, "both would be null");
    to = nullptr;
    return !value || put(*value, to);
  }

  template <class... Ts>
  bool put(as_shape<shape::variant>, const std::variant<Ts...>& value, tree& to) {
    auto name = alternative_names<std::variant<Ts...>>()[value.index()];
    to = tree::object();
    return nested([&] {
      return troupe::visit([&](const auto& each) { return put(each, to[name]); }, value)
             || within("." + name);
    });
  }

  template <class T>
  bool put(as_shape<shape::spelled>, const T& value, tree& to) {
    return put(to_string(value), to);
  }

  template <class T>
  bool put(as_shape<shape::object>, const T& value, tree& to) {
    here_ = &to;
    return inspect(*this, const_cast<T&>(value)); // a writer only reads
  }

  template <class T>
  bool append(const T& value, tree& to) {
    auto& element = to.emplace_back(nullptr);
    return put(value, element) || within("[" + std::to_string(to.size() - 1) + "]");
  }

  template <class Body>
  bool nested(Body body) {
    constexpr auto max_depth = json_limits{}.max_depth;
    if (depth_ == max_depth)
      return fail(errc::too_large,
                  "nested deeper than " + std::to_string(max_depth) + ", which no reader accepts");
    ++depth_;
    auto done = body();
    --depth_;
    return done;
  }

  bool fail(errc code, std::string detail) {
    fault_ = {code, std::move(detail)};
    return false;
  }

  /// Adds a step to the path of the fault, from the inside out; costs nothing without a fault.
  bool within(const std::string& step) {
    path_.insert(0, step);
    return false;
  }

  tree_form form_;
  tree* here_ = nullptr; // what the current object is written to
  std::size_t depth_ = 0;
  problem fault_;
  std::string path_;
};

} // namespace troupe::detail
