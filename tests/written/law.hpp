#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "written/fields.hpp"

/// What holds for every struct that is written or sent: `inspect` shows each of its fields, and
/// each of them, changed alone to another valid value, survives a round trip through each form
/// that carries the struct.
namespace troupe::test {

/// What the law found.
struct findings {
  /// The types that were looked at, without template arguments.
  std::set<std::string> seen;
  std::vector<std::string> faults;
};

/// Checks T, and whatever it holds, by the forms of `Forms`: `Forms::equal(a, b)` and
/// `Forms::lost(value)`, the names of the forms that do not give `value` back. A form with a
/// bound on memory has `too_dense<List>()`, too.
template <class Forms>
class law {
public:
  explicit law(findings& found) : found_(found) {}

  template <class T>
  void check() {
    constexpr auto kind = shape_of<T>;
    if constexpr (is_fixed<T>) {
      return;
    } else if constexpr (kind == shape::enumeration) {
      found_.seen.insert(name_of_type<T>());
    } else if constexpr (kind == shape::optional || kind == shape::block) {
      check<typename T::value_type>();
    } else if constexpr (kind == shape::list) {
      check_density<T>();
      check<typename T::value_type>();
    } else if constexpr (kind == shape::map) {
      check_density<T>();
      check<typename T::key_type>();
      check<typename T::mapped_type>();
    } else if constexpr (kind == shape::tuple) {
      check_all(static_cast<T*>(nullptr));
    } else if constexpr (kind == shape::variant) {
      check_all(static_cast<T*>(nullptr));
    } else if constexpr (kind == shape::object || kind == shape::spelled) {
      static bool done = false;
      if (!std::exchange(done, true))
        check_struct<T>();
    }
  }

private:
  template <template <class...> class Template, class... Ts>
  void check_all(Template<Ts...>*) {
    (check<Ts>(), ...);
  }

  template <class List>
  void check_density() {
    if constexpr (!has_room<List> && requires { Forms::template too_dense<List>(); })
      if (auto wrong = Forms::template too_dense<List>(); !wrong.empty())
        found_.faults.push_back(full_name_of_type<List>() + ": " + wrong);
  }

  template <class T>
  void check_struct() {
    auto name = name_of_type<T>();
    found_.seen.insert(name);
    if constexpr (written_as_another<T>) {
      check<typename written_as<T>::type>();
      auto other = start_of<T>::make();
      change(other);
      compare(name, other);
    } else {
      auto value = start_of<T>::make();
      visit_fields(value, [&]<class... Fields>(detail::named_field<Fields>&... fields) {
        if (auto wrong = missing_fields(value, fields...); !wrong.empty())
          found_.faults.push_back(name + ": " + wrong);
        [[maybe_unused]] std::size_t position = 0;
        (check_field<T, Fields>(name + "." + std::string{fields.name}, position++), ...);
        (check<Fields>(), ...);
      });
      for (auto& form : Forms::lost(value))
        found_.faults.push_back(name + ": does not survive " + form);
    }
  }

  template <class T, class Field>
  void check_field(const std::string& name, std::size_t position) {
    for (std::size_t way = 0; way < ways_to_change<Field>(); ++way) {
      auto value = start_of<T>::make();
      if (change_field(value, position, way))
        compare(name, value);
      else if (!is_fixed<
                 Field> && !std::is_empty_v<Field> && (ways_to_change<Field>() == 1 || way > 0))
        found_.faults.push_back(name + ": has no other value");
    }
  }

  template <class T>
  void compare(const std::string& name, const T& changed) {
    if (Forms::equal(changed, start_of<T>::make()))
      found_.faults.push_back(name + ": changed, it compares equal to what it was");
    for (auto& form : Forms::lost(changed))
      found_.faults.push_back(name + ": does not survive " + form);
  }

  findings& found_;
};

/// A check of many types that one source brings: what it is of, and the check.
using chapter = std::pair<std::string, void (*)(findings&)>;

/// All chapters of this program.
inline std::vector<chapter>& chapters() {
  static std::vector<chapter> all;
  return all;
}

inline bool add_chapter(std::string about, void (*check)(findings&)) {
  chapters().emplace_back(std::move(about), check);
  return true;
}

} // namespace troupe::test
