#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "caf/error.hpp"
#include "caf/fwd.hpp"
#include "caf/sec.hpp"
#include "caf/string_view.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/numbers.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/inspection.hpp"

/// Our own binary form (core/codec.hpp) for what only CAF can look into: messages of any types. A
/// struct is its length and its fields by position, so it may be read by later releases of a
/// program, whose structs have grown at the end. What CAF takes for a struct is one here, such as
/// an optional value or a variant within a list.
namespace troupe::detail {

/// Whether numbers of this process are in a value of that type: they mean nothing in another one.
inline bool is_of_process(caf::type_id_t type) {
  return type == caf::type_id_v<caf::message> || type == caf::type_id_v<caf::error>;
}

/// Makes the stored form of a value. Refuses handles of actors (sec::no_context), and messages and
/// errors (sec::invalid_argument) in it.
class stored_writer final : public number_writer<stored_writer> {
public:
  stored_writer() : open_(1) {}

  /// @pre the value is complete
  [[nodiscard]] std::string take() {
    return open_.front().take();
  }

  bool begin_object(caf::type_id_t type, caf::string_view) override {
    if (is_of_process(type))
      return refuse(caf::sec::invalid_argument);
    if (open_.size() > max_nesting)
      return refuse(caf::sec::runtime_error);
    open_.emplace_back();
    return true;
  }

  bool end_object() override {
    auto inner = open_.back().take();
    open_.pop_back();
    open_.back().put(inner);
    return true;
  }

  bool begin_field(caf::string_view) override {
    return true;
  }

  bool begin_field(caf::string_view, bool is_present) override {
    return put(is_present);
  }

  bool begin_field(caf::string_view, caf::span<const caf::type_id_t>, std::size_t index) override {
    return put(static_cast<std::uint8_t>(index));
  }

  bool begin_field(caf::string_view, bool is_present, caf::span<const caf::type_id_t>,
                   std::size_t index) override {
    return put(is_present) && (!is_present || put(static_cast<std::uint8_t>(index)));
  }

  bool end_field() override {
    return true;
  }

  bool begin_tuple(std::size_t) override {
    return true;
  }

  bool end_tuple() override {
    return true;
  }

  bool begin_sequence(std::size_t size) override {
    return put(static_cast<std::uint32_t>(size));
  }

  bool end_sequence() override {
    return true;
  }

  using number_writer<stored_writer>::value;

  /// Its size depends on the machine.
  bool value(long double) override {
    return refuse(caf::sec::invalid_argument);
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

  bool value(caf::span<const caf::byte> x) override {
    return std::ranges::all_of(x, [this](caf::byte each) { return value(each); });
  }

private:
  friend class number_writer<stored_writer>;

  template <class T>
  bool put(const T& what) {
    open_.back().put(what);
    return true;
  }

  bool refuse(caf::sec why) {
    emplace_error(why);
    return false;
  }

  /// The last one is that of the innermost struct.
  std::vector<encoder> open_;
};

/// Reads what a stored_writer has made, of the same or an earlier release of the type: fields that
/// are missing keep their default, containers become empty. Invalid bytes are refused.
class stored_reader final : public number_reader<stored_reader> {
public:
  explicit stored_reader(std::string_view bytes) : open_{bytes} {}

  [[nodiscard]] bool at_end() const {
    return open_.size() == 1 && open_.front().empty();
  }

  bool fetch_next_object_type(caf::type_id_t&) override {
    return refuse();
  }

  bool begin_object(caf::type_id_t type, caf::string_view) override {
    if (is_of_process(type) || open_.size() > max_nesting)
      return refuse();
    std::string_view inner;
    if (missing_ == 0 && !take_sized(inner))
      return refuse();
    open_.push_back(inner);
    return true;
  }

  bool end_object() override {
    open_.pop_back(); // with what later releases have at its end
    return true;
  }

  bool begin_field(caf::string_view) override {
    missing_ += missing_ > 0 || open_.back().empty() ? 1 : 0;
    return true;
  }

  bool begin_field(caf::string_view name, bool& is_present) override {
    is_present = false;
    return begin_field(name) && value(is_present);
  }

  bool begin_field(caf::string_view name, caf::span<const caf::type_id_t> types,
                   std::size_t& index) override {
    std::uint8_t number = 0;
    if (!begin_field(name) || !value(number) || number >= types.size())
      return refuse();
    index = number;
    return true;
  }

  bool begin_field(caf::string_view name, bool& is_present, caf::span<const caf::type_id_t> types,
                   std::size_t& index) override {
    std::uint8_t number = 0;
    if (!begin_field(name, is_present) || (is_present && !value(number))
        || (is_present && number >= types.size()))
      return refuse();
    index = number;
    return true;
  }

  bool end_field() override {
    missing_ -= missing_ > 0 ? 1 : 0;
    return true;
  }

  bool begin_tuple(std::size_t) override {
    return true;
  }

  bool end_tuple() override {
    return true;
  }

  bool begin_sequence(std::size_t& size) override {
    std::uint32_t count = 0;
    if (!value(count) || count > open_.back().size()) // each has a byte at least
      return refuse();
    size = count;
    return true;
  }

  bool end_sequence() override {
    return true;
  }

  using number_reader<stored_reader>::value;

  bool value(long double&) override {
    return refuse();
  }

  bool value(std::string& x) override {
    std::string_view read;
    if (missing_ > 0)
      return true;
    if (!take_sized(read))
      return refuse();
    x = read;
    return true;
  }

  bool value(caf::span<caf::byte> x) override {
    return std::ranges::all_of(x, [this](caf::byte& each) { return value(each); });
  }

private:
  friend class number_reader<stored_reader>;

  template <class T>
  bool get(T& into) {
    if (missing_ > 0)
      return true;
    auto& rest = open_.back();
    decoder from{rest.substr(0, sizeof(T))};
    if (rest.size() < sizeof(T) || !from.get(into))
      return refuse();
    rest.remove_prefix(sizeof(T));
    return true;
  }

  bool take_sized(std::string_view& into) {
    std::uint32_t size = 0;
    auto& rest = open_.back();
    if (!get(size) || size > rest.size())
      return false;
    into = rest.substr(0, size);
    rest.remove_prefix(size);
    return true;
  }

  bool refuse() {
    emplace_error(caf::sec::invalid_argument);
    return false;
  }

  /// What is left of each struct that has begun; the last one is the innermost.
  std::vector<std::string_view> open_;
  /// Fields that have begun and that are not there.
  std::size_t missing_ = 0;
};

} // namespace troupe::detail
