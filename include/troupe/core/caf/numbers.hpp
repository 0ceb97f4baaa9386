#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "caf/deserializer.hpp"
#include "caf/fwd.hpp"
#include "caf/serializer.hpp"

namespace troupe::detail {

/// Gives numbers of all types, and bool, to Derived::put(const T&), and a byte as a std::uint8_t.
template <class Derived>
class number_writer : public caf::serializer {
public:
  using caf::serializer::value;

  bool value(caf::byte x) override {
    return self().put(static_cast<std::uint8_t>(x));
  }

  bool value(bool x) override {
    return self().put(x);
  }

  bool value(std::int8_t x) override {
    return self().put(x);
  }

  bool value(std::uint8_t x) override {
    return self().put(x);
  }

  bool value(std::int16_t x) override {
    return self().put(x);
  }

  bool value(std::uint16_t x) override {
    return self().put(x);
  }

  bool value(std::int32_t x) override {
    return self().put(x);
  }

  bool value(std::uint32_t x) override {
    return self().put(x);
  }

  bool value(std::int64_t x) override {
    return self().put(x);
  }

  bool value(std::uint64_t x) override {
    return self().put(x);
  }

  bool value(float x) override {
    return self().put(x);
  }

  bool value(double x) override {
    return self().put(x);
  }

private:
  friend Derived;

  number_writer() : caf::serializer(nullptr) {}

  Derived& self() {
    return static_cast<Derived&>(*this);
  }
};

/// Has Derived::get(T&) make what a number_writer gives.
template <class Derived>
class number_reader : public caf::deserializer {
public:
  using caf::deserializer::value;

  bool value(caf::byte& x) override {
    auto read = static_cast<std::uint8_t>(x);
    auto ok = self().get(read);
    x = static_cast<caf::byte>(read);
    return ok;
  }

  bool value(bool& x) override {
    return self().get(x);
  }

  bool value(std::int8_t& x) override {
    return self().get(x);
  }

  bool value(std::uint8_t& x) override {
    return self().get(x);
  }

  bool value(std::int16_t& x) override {
    return self().get(x);
  }

  bool value(std::uint16_t& x) override {
    return self().get(x);
  }

  bool value(std::int32_t& x) override {
    return self().get(x);
  }

  bool value(std::uint32_t& x) override {
    return self().get(x);
  }

  bool value(std::int64_t& x) override {
    return self().get(x);
  }

  bool value(std::uint64_t& x) override {
    return self().get(x);
  }

  bool value(std::u16string& x) override {
    return get_units<std::uint16_t>(x);
  }

  bool value(std::u32string& x) override {
    return get_units<std::uint32_t>(x);
  }

  bool value(float& x) override {
    return self().get(x);
  }

  bool value(double& x) override {
    return self().get(x);
  }

private:
  friend Derived;

  number_reader() : caf::deserializer(nullptr) {}

  template <class Unit, class Text>
  bool get_units(Text& into) {
    std::size_t size = 0;
    if (!this->begin_sequence(size))
      return false;
    into.clear();
    for (Unit each = 0; size > 0; --size) {
      if (!self().get(each))
        return false;
      into.push_back(static_cast<typename Text::value_type>(each));
    }
    return this->end_sequence();
  }

  Derived& self() {
    return static_cast<Derived&>(*this);
  }
};

} // namespace troupe::detail
