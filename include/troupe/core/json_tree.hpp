#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/core/memory_budget.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/utf8.hpp"

/// Parses untrusted text into a tree of bounded size.
namespace troupe {

/// Bounds of one document, JSON or MessagePack. Beyond them it is refused with
/// errc::too_large before it costs more.
struct json_limits {
  /// Checked before anything is read.
  std::size_t max_bytes = std::size_t{64} << 20U;
  /// Nesting depth of arrays and objects.
  std::size_t max_depth = 64;
  /// Numbers, texts, arrays, … in total.
  std::size_t max_values = 5'000'000;
  /// Bytes of memory for each byte of the document: for its tree and, if it is read into a value,
  /// for that value, too. Workflows of WfCommons need 4 to 8; a list of short numbers or of empty
  /// objects needs up to 40.
  std::size_t memory_per_byte = memory_budget::bytes_per_byte;
  /// Bytes of memory for any document, in addition.
  std::size_t spare_memory = memory_budget::spare_bytes;
};

namespace detail {

inline std::string memory_fault(json_limits limits) {
  return "needs more memory than json_limits::memory_per_byte = "
         + std::to_string(limits.memory_per_byte)
         + " times its bytes and json_limits::spare_memory = " + std::to_string(limits.spare_memory)
         + "; raise them, or give it in parts";
}

/// Clears `what` from its leaves up, by recursion that json_limits::max_depth bounds. The
/// destructor of a tree avoids recursion, but allocates about as much memory again.
inline void take_down(nlohmann::json& what) {
  if (auto* list = what.get_ptr<nlohmann::json::array_t*>()) {
    for (auto& each : *list)
      take_down(each);
    list->clear();
  } else if (auto* members = what.get_ptr<nlohmann::json::object_t*>()) {
    for (auto& [name, each] : *members)
      take_down(each);
    members->clear();
  }
}

/// Builds the tree from the events of a parser, and stops it at the first fault.
class tree_builder {
public:
  using tree = nlohmann::json;

  tree_builder(json_limits limits, memory_budget& memory) : limits_(limits), memory_(memory) {}

  tree_builder(const tree_builder&) = delete;
  tree_builder& operator=(const tree_builder&) = delete;

  ~tree_builder() {
    take_down(root_);
  }

  bool null() {
    return add(nullptr);
  }

  bool boolean(bool value) {
    return add(value);
  }

  bool number_integer(std::int64_t value) {
    return add(value);
  }

  bool number_unsigned(std::uint64_t value) {
    return add(value);
  }

  bool number_float(double value, const std::string&) {
    return add(value);
  }

  bool string(std::string& value) {
    if (!is_utf8(value))
      return fail(errc::bad_argument, "a text that is not UTF-8");
    return add(std::move(value));
  }

  bool binary(tree::binary_t& value) {
    return add(tree(std::move(value)));
  }

  bool key(std::string& name) {
    if (!is_utf8(name))
      return fail(errc::bad_argument, "a key that is not UTF-8");
    if (!memory_.take(member_bytes) || !take_text(name))
      return fail_for_memory();
    auto [member, fresh] = open_.back()->emplace(std::move(name), nullptr);
    member_ = &*member;
    // JSON parsers differ in which of the two they take.
    return fresh
           || fail(errc::bad_argument,
                   "the key \"" + std::string{utf8_prefix(member.key(), 40)} + "\" is given twice");
  }

  bool start_object(std::size_t) {
    return open(tree::object());
  }

  bool end_object() {
    open_.pop_back();
    return true;
  }

  bool start_array(std::size_t) {
    return open(tree::array());
  }

  bool end_array() {
    open_.pop_back();
    return true;
  }

  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& why) {
    // Keep the cause only: we name the place ourselves, and the text that was read may be anything.
    std::string_view text{why.what()};
    auto cut_after = [&](std::string_view mark) {
      if (auto found = text.find(mark); found != std::string_view::npos)
        text.remove_prefix(found + mark.size());
    };
    cut_after("] ");
    if (text.starts_with("parse error at "))
      cut_after(": ");
    text = text.substr(0, std::min(text.find("; last read:"), text.find(" parsing '")));
    return fail(errc::bad_argument, std::string{text});
  }

  /// The first fault; errc::none if there is none.
  [[nodiscard]] const problem& fault() const {
    return fault_;
  }

  [[nodiscard]] tree take() {
    return std::move(root_);
  }

private:
  bool fail(errc code, std::string detail) {
    fault_ = {code, std::move(detail)};
    return false;
  }

  bool open(tree value) {
    if (open_.size() == limits_.max_depth)
      return fail(errc::too_large, "nested deeper than json_limits::max_depth = "
                                     + std::to_string(limits_.max_depth));
    if (!add(std::move(value)))
      return false;
    open_.push_back(last_);
    return true;
  }

  bool add(tree value) {
    if (values_ == limits_.max_values)
      return fail(errc::too_large, "more than json_limits::max_values = "
                                     + std::to_string(limits_.max_values) + " values");
    ++values_;
    if (!take(value))
      return fail_for_memory();
    if (open_.empty()) {
      root_ = std::move(value);
      last_ = &root_;
    } else if (open_.back()->is_array()) {
      auto& list = open_.back()->get_ref<tree::array_t&>();
      if (!take_place(list))
        return fail_for_memory();
      list.push_back(std::move(value));
      last_ = &list.back();
    } else {
      *member_ = std::move(value);
      last_ = member_;
    }
    return true;
  }

  // -- memory ------------------------------------------------------------------------

  /// A node of a map: a colour, three links, the key and the value.
  static constexpr std::size_t member_bytes = memory_budget::bytes_of_element<tree::object_t>();

  /// The parser collects a text in two buffers that double, and hands over one of them.
  [[nodiscard]] bool take_text(const std::string& text) {
    constexpr std::size_t buffers = 4;
    return memory_.left() / buffers >= text.size() && memory_.take_text(text.capacity());
  }

  /// Takes the memory that a value owns outside of its element.
  [[nodiscard]] bool take(const tree& value) {
    auto block = [this](std::size_t bytes) { return memory_.take(memory_budget::block(bytes)); };
    if (value.is_string())
      return block(sizeof(tree::string_t)) && take_text(value.get_ref<const std::string&>());
    if (value.is_binary())
      return block(sizeof(tree::binary_t)) && block(value.get_binary().capacity());
    if (value.is_array())
      return block(sizeof(tree::array_t));
    if (value.is_object())
      return block(sizeof(tree::object_t));
    return true;
  }

  /// Takes the memory of one more element. While a list grows, the old and the new block exist
  /// together.
  [[nodiscard]] bool take_place(tree::array_t& list) {
    if (list.size() < list.capacity())
      return true;
    auto bytes_of = [](std::size_t places) { return memory_budget::block(places * sizeof(tree)); };
    auto grown = bytes_of(std::max<std::size_t>(1, 2 * list.capacity()));
    return memory_.left() >= grown && memory_.take(grown - bytes_of(list.capacity()));
  }

  bool fail_for_memory() {
    return fail(errc::too_large, memory_fault(limits_));
  }

  json_limits limits_;
  memory_budget& memory_;
  tree root_;
  std::vector<tree*> open_; // remain valid: only the innermost container grows
  tree* member_ = nullptr;
  tree* last_ = nullptr;
  std::size_t values_ = 0;
  problem fault_;
};

/// Iterates over text and records how far the parser has come.
class tracked_iterator {
public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  tracked_iterator() = default;

  tracked_iterator(const char* at, const char** reached) : at_(at), reached_(reached) {}

  reference operator*() const {
    return *at_;
  }

  tracked_iterator& operator++() {
    *reached_ = ++at_;
    return *this;
  }

  tracked_iterator operator++(int) {
    auto before = *this;
    ++*this;
    return before;
  }

  friend bool operator==(const tracked_iterator& a, const tracked_iterator& b) {
    return a.at_ == b.at_;
  }

private:
  const char* at_ = nullptr;
  const char** reached_ = nullptr;
};

inline memory_budget budget_for(std::string_view text, json_limits limits) {
  return memory_budget{text.size(), limits.memory_per_byte, limits.spare_memory};
}

/// Returns the tree that `text` stands for, and takes its memory from `memory`. A refusal begins
/// with the place, as `place(read)` names it for the part of `text` that was read.
template <class Place>
result<nlohmann::json> parse_tree(std::string_view text, nlohmann::json::input_format_t format,
                                  json_limits limits, memory_budget& memory, Place place) {
  if (text.size() > limits.max_bytes)
    return problem{errc::too_large, std::to_string(text.size())
                                      + " bytes are more than json_limits::max_bytes = "
                                      + std::to_string(limits.max_bytes)};
  tree_builder builder{limits, memory};
  auto reached = text.data();
  if (nlohmann::json::sax_parse(tracked_iterator{text.data(), &reached},
                                tracked_iterator{text.data() + text.size(), &reached}, &builder,
                                format))
    return builder.take();
  auto read = text.substr(0, static_cast<std::size_t>(reached - text.data()));
  return problem{builder.fault().code, place(read) + ": " + builder.fault().detail};
}

/// Returns the place of the last character of `read`.
inline std::string text_place(std::string_view read) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (auto each : read.substr(0, read.empty() ? 0 : read.size() - 1)) {
    if (each == '\n') {
      ++line;
      column = 1;
    } else if ((static_cast<unsigned char>(each) & 0xc0U) != 0x80) {
      ++column;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

inline result<nlohmann::json> parse_json(std::string_view text, json_limits limits,
                                         memory_budget& memory) {
  return parse_tree(text, nlohmann::json::input_format_t::json, limits, memory, text_place);
}

} // namespace detail

/// Returns the tree of the JSON document `text` (RFC 8259). Integers are exact from
/// -2^63 to 2^64 - 1. Errors: bad_argument (invalid JSON, text that is not UTF-8, an object with a
/// repeated key), too_large (beyond `limits`); they name line and column, in characters.
inline result<nlohmann::json> parse_json(std::string_view text, json_limits limits = {}) {
  auto memory = detail::budget_for(text, limits);
  return detail::parse_json(text, limits, memory);
}

} // namespace troupe
