#pragma once

#include <algorithm>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <type_traits>
#include <utility>
#include <vector>

namespace troupe {

/// Values by numbers, most of which are put above all that are there: without memory of its own for
/// each, in one ring. Iterates in the order of the numbers.
///
/// Cost: O(1) for a number above or below all others, for one that is gone, and to find one where
/// few are missing; else O(log n) to find one, and O(n) to put one between others, for the shorter
/// side of it. What goes over several, as lower_bound() does, passes those that are gone: O(n).
/// Room is for four times as many as there are when they come, and where others have gone since for
/// 16 times as many, and 128.
///
/// Whatever puts or takes out a value invalidates iterators and references.
template <class Value>
class rising_map {
public:
  using key_type = std::uint64_t;

  struct value_type {
    key_type first = 0;
    Value second;

    template <class... Ts>
    explicit value_type(key_type key, Ts&&... what)
      : first(key), second(std::forward<Ts>(what)...) {}
  };

  template <class Map>
  class basic_iterator {
  public:
    using iterator_category = std::bidirectional_iterator_tag;
    using value_type = typename rising_map::value_type;
    using difference_type = std::ptrdiff_t;
    using reference = std::conditional_t<std::is_const_v<Map>, const value_type&,
                                         typename rising_map::value_type&>;
    using pointer = std::remove_reference_t<reference>*;

    basic_iterator() = default;
    basic_iterator(Map& in, std::size_t place) : in_(&in), place_(place) {}

    operator basic_iterator<const Map>() const requires(!std::is_const_v<Map>) {
      return {*in_, place_};
    }

    reference operator*() const {
      return *in_->slot(place_).value;
    }
    pointer operator->() const {
      return &**this;
    }
    basic_iterator& operator++() {
      do
        ++place_;
      while (place_ < in_->span_ && !in_->slot(place_).value);
      return *this;
    }
    basic_iterator operator++(int) {
      auto before = *this;
      ++*this;
      return before;
    }
    basic_iterator& operator--() {
      do
        --place_;
      while (!in_->slot(place_).value);
      return *this;
    }
    basic_iterator operator--(int) {
      auto before = *this;
      --*this;
      return before;
    }
    friend bool operator==(const basic_iterator& x, const basic_iterator& y) {
      return x.place_ == y.place_;
    }

  private:
    friend class rising_map;

    Map* in_ = nullptr;
    std::size_t place_ = 0;
  };

  rising_map() = default;
  rising_map(const rising_map&) = default;
  /// `from` is empty behind it.
  rising_map(rising_map&& from) noexcept {
    swap(from);
  }
  rising_map& operator=(rising_map from) noexcept {
    swap(from);
    return *this;
  }
  ~rising_map() = default;

  void swap(rising_map& with) noexcept {
    ring_.swap(with.ring_);
    std::swap(first_, with.first_);
    std::swap(span_, with.span_);
    std::swap(size_, with.size_);
  }

  using iterator = basic_iterator<rising_map>;
  using const_iterator = basic_iterator<const rising_map>;

  iterator begin() {
    return {*this, 0}; // the first slot has a value
  }
  iterator end() {
    return {*this, span_};
  }
  [[nodiscard]] const_iterator begin() const {
    return {*this, 0};
  }
  [[nodiscard]] const_iterator end() const {
    return {*this, span_};
  }

  [[nodiscard]] bool empty() const {
    return size_ == 0;
  }
  [[nodiscard]] std::size_t size() const {
    return size_;
  }
  /// How many there is memory for.
  [[nodiscard]] std::size_t room() const {
    return ring_.size();
  }

  iterator find(key_type key) {
    return {*this, place_of(key)};
  }
  [[nodiscard]] const_iterator find(key_type key) const {
    return {*this, place_of(key)};
  }
  [[nodiscard]] bool contains(key_type key) const {
    return place_of(key) != span_;
  }

  /// The first one that is not below `key`.
  iterator lower_bound(key_type key) {
    return {*this, from(key)};
  }
  [[nodiscard]] const_iterator lower_bound(key_type key) const {
    return {*this, from(key)};
  }
  [[nodiscard]] const_iterator upper_bound(key_type key) const {
    return {*this, key == static_cast<key_type>(-1) ? span_ : from(key + 1)};
  }

  Value& at(key_type key) {
    return const_cast<Value&>(std::as_const(*this).at(key));
  }
  [[nodiscard]] const Value& at(key_type key) const {
    auto place = place_of(key);
    if (place == span_)
      throw std::out_of_range{"rising_map::at"};
    return slot(place).value->second;
  }

  /// Puts a value there, unless there is one.
  template <class... Ts>
  std::pair<iterator, bool> emplace(key_type key, Ts&&... what) {
    if (size_ == 0 || slot(span_ - 1).key < key) {
      if (span_ == ring_.size())
        rebuild();
      auto& made = slot(span_);
      made.value.emplace(key, std::forward<Ts>(what)...); // may throw: then all is as it was
      made.key = key;
      ++span_;
      ++size_;
      return {iterator{*this, span_ - 1}, true};
    }
    auto place = place_behind(key);
    if (slot(place).key == key && slot(place).value)
      return {iterator{*this, place}, false};
    Value made(std::forward<Ts>(what)...);
    if (slot(place).key != key)
      make_room(place);
    slot(place).key = key;
    slot(place).value.emplace(key, std::move(made));
    ++size_;
    return {iterator{*this, place}, true};
  }

  Value& operator[](key_type key) {
    return emplace(key).first->second;
  }

  /// Takes it out, if it is there.
  std::optional<Value> take(key_type key) {
    auto place = place_of(key);
    if (place == span_)
      return std::nullopt;
    std::optional<Value> gone{std::move(slot(place).value->second)};
    drop(place);
    return gone;
  }

  /// @pre !empty()
  value_type take_first() {
    auto gone = *std::move(slot(0).value);
    drop(0);
    return gone;
  }

  std::size_t erase(key_type key) {
    auto place = place_of(key);
    if (place == span_)
      return 0;
    drop(place);
    return 1;
  }

  void clear() {
    *this = rising_map{};
  }

private:
  struct place_for_one {
    key_type key = 0;
    /// Nothing: it is gone.
    std::optional<value_type> value{};
  };

  /// Slots beyond what is needed.
  static constexpr std::size_t few = 16;

  place_for_one& slot(std::size_t place) {
    return ring_[(first_ + place) & (ring_.size() - 1)];
  }
  [[nodiscard]] const place_for_one& slot(std::size_t place) const {
    return ring_[(first_ + place) & (ring_.size() - 1)];
  }

  /// span_: there is none.
  [[nodiscard]] std::size_t place_of(key_type key) const {
    if (size_ == 0 || key < slot(0).key || slot(span_ - 1).key < key)
      return span_;
    auto place = place_behind(key);
    return slot(place).key == key && slot(place).value ? place : span_;
  }

  /// The first slot whose key is not below, also if its value is gone.
  /// @pre there is one
  [[nodiscard]] std::size_t place_behind(key_type key) const {
    auto lowest = slot(0).key;
    if (key <= lowest)
      return 0;
    if (auto guess = key - lowest; guess < span_ && slot(guess).key == key)
      return guess;
    std::size_t low = 0; // below
    auto high = span_ - 1;
    while (high - low > 1) {
      auto middle = low + (high - low) / 2;
      (slot(middle).key < key ? low : high) = middle;
    }
    return high;
  }

  /// The first value whose key is not below.
  [[nodiscard]] std::size_t from(key_type key) const {
    if (size_ == 0 || slot(span_ - 1).key < key)
      return span_;
    auto place = place_behind(key);
    while (!slot(place).value)
      ++place;
    return place;
  }

  /// Moves all from `place` on by one, or all in front of it, which comes to the same.
  void make_room(std::size_t& place) {
    auto key = slot(place).key;
    if (span_ == ring_.size()) {
      rebuild();
      place = place_behind(key); // some are gone
    }
    ++span_;
    if (place < span_ / 2) {
      first_ = (first_ - 1) & (ring_.size() - 1);
      for (std::size_t each = 0; each < place; ++each)
        slot(each) = std::move(slot(each + 1));
    } else {
      for (auto each = span_ - 1; each > place; --each)
        slot(each) = std::move(slot(each - 1));
    }
    slot(place).value.reset();
  }

  void drop(std::size_t place) {
    slot(place).value.reset();
    --size_;
    while (span_ > 0 && !slot(0).value) {
      first_ = (first_ + 1) & (ring_.size() - 1);
      --span_;
    }
    while (span_ > 0 && !slot(span_ - 1).value)
      --span_;
    if (span_ > 2 * size_ + few || (ring_.size() > few && 8 * span_ < ring_.size()))
      rebuild();
  }

  /// Leaves out those that are gone, and makes room for twice as many as there are.
  void rebuild() {
    auto room = std::size_t{2};
    while (room < 2 * (size_ + 1))
      room *= 2;
    std::vector<place_for_one> made(room);
    std::size_t count = 0;
    for (std::size_t place = 0; place < span_; ++place)
      if (slot(place).value)
        made[count++] = std::move(slot(place));
    ring_ = std::move(made);
    first_ = 0;
    span_ = count;
  }

  /// A power of two, or none.
  std::vector<place_for_one> ring_;
  std::size_t first_ = 0;
  /// Slots from the first value to the last one, also those whose values are gone.
  std::size_t span_ = 0;
  std::size_t size_ = 0;
};

/// Numbers, in the same way.
class rising_set {
public:
  void insert(std::uint64_t number) {
    all_.emplace(number);
  }
  std::size_t erase(std::uint64_t number) {
    return all_.erase(number);
  }
  [[nodiscard]] bool contains(std::uint64_t number) const {
    return all_.contains(number);
  }
  [[nodiscard]] bool empty() const {
    return all_.empty();
  }
  [[nodiscard]] std::size_t size() const {
    return all_.size();
  }
  /// @pre !empty()
  [[nodiscard]] std::uint64_t first() const {
    return all_.begin()->first;
  }

  template <class Job>
  void for_each(Job job) const {
    for (auto& each : all_)
      job(each.first);
  }

private:
  struct nothing {};

  rising_map<nothing> all_;
};

} // namespace troupe
