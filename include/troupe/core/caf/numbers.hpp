#pragma once

#include <cstdint>

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

  bool value(float& x) override {
    return self().get(x);
  }

  bool value(double& x) override {
    return self().get(x);
  }

private:
  friend Derived;

  number_reader() : caf::deserializer(nullptr) {}

  Derived& self() {
    return static_cast<Derived&>(*this);
  }
};

} // namespace troupe::detail
