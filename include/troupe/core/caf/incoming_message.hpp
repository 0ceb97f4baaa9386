#pragma once

#include <algorithm>
#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "caf/binary_deserializer.hpp"
#include "caf/fwd.hpp"
#include "caf/inspector_access.hpp"
#include "caf/inspector_access_base.hpp"
#include "caf/is_error_code_enum.hpp"
#include "caf/message.hpp"
#include "caf/sec.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/compat.hpp"
#include "troupe/core/caf/incoming_handles.hpp"
#include "troupe/core/caf/plain_types.hpp"

namespace troupe {

/// Judges messages from other processes in CAF's binary form before CAF reads them. CAF trusts
/// what it reads: an exit message ends any actor, a link message makes it take a local actor for a
/// remote one, messages inside messages use up its stack, and it never forgets a list of types that
/// a message had.
///
/// Accepted are messages of at most max_elements: of CAF's own types numbers, texts, handles,
/// errors, times, addresses and most atoms; of all other types those that the program has
/// registered. A message or an error inside a message is judged as well, if only atoms and texts
/// precede it; it is refused behind other elements. Values of other types are not looked into: see
/// caf::inspector_access<caf::message> below. The category of an error has to be an error type of
/// CAF or in a block of messages (see troupe::init), as CAF prints the code as whatever type that
/// is.
///
/// For any thread. Cost: some 10 ns for a message of one element; one lock for more.
class incoming_message {
public:
  static constexpr std::size_t max_elements = 8;
  /// Messages and errors that lie in each other.
  static constexpr std::size_t max_depth = 8;
  /// Different lists of two and more types, in one process, as CAF keeps each forever.
  static constexpr std::size_t max_lists = 10'000;

  /// Returns why the message that begins with `bytes` is refused; empty if CAF may read it. Types
  /// that are not registered here are no reason: CAF reports them.
  [[nodiscard]] static std::string_view refusal(std::string_view bytes) {
    return judge(bytes, 0).why;
  }

  /// The same for an error that lies in no message.
  [[nodiscard]] static std::string_view refusal_of_error(std::string_view bytes) {
    return judge_error(bytes, 0).why;
  }

  /// Returns whether the message that begins with `bytes` is an error and nothing else. CAF ends an
  /// actor that gets one, unless it answers a request of that actor.
  [[nodiscard]] static bool is_error(std::string_view bytes) {
    if (!bytes.starts_with('\x01'))
      return false;
    bytes.remove_prefix(1);
    return take_id(bytes) == caf::type_id_v<caf::error>;
  }

  /// Lets errors of the category T pass, if T is an error type. Call before any actor system.
  template <class T>
  static void add_category() {
    if constexpr (caf::is_error_code_enum_v<T>)
      categories().insert(caf::type_id_v<T>);
  }

  /// The types of the elements of one message.
  struct type_list {
    std::array<caf::type_id_t, max_elements> ids{};
    std::size_t count = 0;

    [[nodiscard]] std::span<const caf::type_id_t> all() const {
      return {ids.data(), count};
    }

    friend auto operator<=>(const type_list&, const type_list&) = default;
  };

  /// Returns the types of the elements of the message that begins with `bytes`.
  /// @pre It is not refused.
  [[nodiscard]] static type_list types_of(std::string_view bytes) {
    type_list types;
    types.count = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    for (std::size_t index = 0; index < types.count; ++index)
      types.ids[index] = *take_id(bytes);
    return types;
  }

  /// Counts different lists of types, up to a bound. For any thread.
  class known_lists {
  public:
    explicit known_lists(std::size_t most) : most_(most) {}

    /// Returns whether `types` is known or can be remembered. There are no more lists of one type
    /// than types, so these are not counted.
    bool add(const type_list& types) {
      if (types.count < 2)
        return true;
      std::lock_guard guard{mutex_};
      if (known_.contains(types))
        return true;
      if (known_.size() >= most_)
        return false;
      known_.insert(types);
      return true;
    }

  private:
    std::size_t most_;
    std::mutex mutex_;
    std::set<type_list> known_;
  };

private:
  struct judged {
    std::string_view why;
    /// What follows the last element that was looked into; nothing if its size is not known.
    std::optional<std::string_view> rest;
  };

  static judged refuse(std::string_view why) {
    return {why, std::nullopt};
  }

  static judged judge(std::string_view bytes, std::size_t depth) {
    if (depth > max_depth)
      return refuse("messages lie too deep in each other");
    if (bytes.empty())
      return refuse("the message is cut short");
    type_list types;
    types.count = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    if (types.count > max_elements)
      return refuse("the message has too many elements");
    for (std::size_t index = 0; index < types.count; ++index) {
      auto id = take_id(bytes);
      if (!id)
        return refuse("the message is cut short");
      if (!may_pass(*id))
        return refuse("the message has a type of CAF's own that no peer may send");
      types.ids[index] = *id;
    }
    if (!remember(types))
      return refuse("messages with too many different lists of types have come");
    return look_into(types, bytes, depth);
  }

  /// Judges the messages and errors among the elements.
  static judged look_into(const type_list& types, std::string_view bytes, std::size_t depth) {
    std::optional rest{bytes};
    for (auto id : types.all()) {
      auto nests = id == caf::type_id_v<caf::message> || id == caf::type_id_v<caf::error>;
      if (nests && !rest)
        return refuse("a message or an error lies behind other elements");
      if ((is_handle(id) || is_list_of_handles(id)) && !rest
          && incoming_handles::current() != nullptr)
        return refuse("the handle of an actor lies behind other elements");
      if (!rest)
        continue;
      if (nests) {
        auto inside
          = id == caf::type_id_v<caf::error> ? judge_error(*rest, depth) : judge(*rest, depth + 1);
        if (!inside.why.empty())
          return inside;
        rest = inside.rest;
      } else if (id == caf::type_id_v<std::string>) {
        if (!skip_text(*rest))
          return refuse("the message is cut short");
      } else if (auto size = plain_types::bytes_of_number(id); size > 0) {
        if (rest->size() < size)
          return refuse("the message is cut short");
        rest->remove_prefix(size);
      } else if (is_handle(id) || is_list_of_handles(id)) {
        if (auto* handles = incoming_handles::current())
          if (!take_handles(*handles, *rest, is_list_of_handles(id)))
            return refuse("the handle of an actor is neither of this node nor of the sender's");
        if (incoming_handles::current() == nullptr)
          rest.reset();
      } else if (!is_atom(id)) {
        rest.reset();
      }
    }
    return {{}, rest};
  }

  static std::optional<caf::type_id_t> take_id(std::string_view& bytes) {
    if (bytes.size() < 2)
      return std::nullopt;
    auto at = [&](std::size_t index) {
      return static_cast<unsigned>(static_cast<unsigned char>(bytes[index]));
    };
    auto id = static_cast<caf::type_id_t>(at(0) << 8U | at(1));
    bytes.remove_prefix(2);
    return id;
  }

  /// Judges an error: whether there is one, its code, its category, and its context, a message.
  static judged judge_error(std::string_view bytes, std::size_t depth) {
    if (bytes.empty())
      return refuse("the message is cut short");
    auto is_there = bytes.front() != 0;
    bytes.remove_prefix(1);
    if (!is_there)
      return {{}, bytes};
    if (bytes.empty())
      return refuse("the message is cut short");
    bytes.remove_prefix(1);
    auto category = take_id(bytes);
    if (!category)
      return refuse("the message is cut short");
    if (!may_be_category(*category))
      return refuse("the message has an error of an unknown category");
    return judge(bytes, depth + 1);
  }

  static bool may_be_category(caf::type_id_t id) {
    return plain_types::is_error_code(id) || categories().contains(id);
  }

  static std::set<caf::type_id_t>& categories() {
    static std::set<caf::type_id_t> all;
    return all;
  }

  /// The size of a text or a list has 7 bits in each byte, the lowest first.
  static std::optional<std::size_t> take_size(std::string_view& bytes) {
    std::size_t size = 0;
    for (auto shift = 0U; shift < 35; shift += 7) {
      if (bytes.empty())
        return std::nullopt;
      auto next = static_cast<unsigned char>(bytes.front());
      bytes.remove_prefix(1);
      size |= static_cast<std::size_t>(next & 0x7FU) << shift;
      if (next < 0x80)
        return size;
    }
    return std::nullopt;
  }

  static bool skip_text(std::string_view& bytes) {
    auto size = take_size(bytes);
    if (!size || *size > bytes.size())
      return false;
    bytes.remove_prefix(*size);
    return true;
  }

  static bool is_handle(caf::type_id_t id) {
    constexpr std::array all{caf::type_id_v<caf::strong_actor_ptr>, caf::type_id_v<caf::actor>,
                             caf::type_id_v<caf::actor_addr>, caf::type_id_v<caf::weak_actor_ptr>};
    return std::ranges::find(all, id) != all.end();
  }

  static bool is_list_of_handles(caf::type_id_t id) {
    constexpr std::array all{
      caf::type_id_v<std::vector<caf::strong_actor_ptr>>,
      caf::type_id_v<std::vector<caf::actor>>,
      caf::type_id_v<std::vector<caf::actor_addr>>,
      caf::type_id_v<std::vector<caf::weak_actor_ptr>>,
    };
    return std::ranges::find(all, id) != all.end();
  }

  static bool take_handles(incoming_handles& rules, std::string_view& bytes, bool is_list) {
    std::size_t count = 1;
    if (is_list) {
      auto size = take_size(bytes);
      if (!size || *size > bytes.size())
        return false;
      count = *size;
    }
    for (; count > 0; --count)
      if (!rules.take_written(bytes))
        return false;
    return true;
  }

  static bool is_atom(caf::type_id_t id) {
    return id >= caf::type_id_v<caf::add_atom> && id <= caf::type_id_v<caf::wait_for_atom>;
  }

  /// Of CAF's own types only those that carry data.
  static bool may_pass(caf::type_id_t id) {
    if (id >= caf::first_custom_type_id)
      return true;
    if (is_atom(id))
      return id
               != caf::type_id_v<
                 caf::
                   link_atom> && id != caf::type_id_v<caf::unlink_atom> && id != caf::type_id_v<caf::migrate_atom>;
    if (plain_types::is_plain(id) || is_handle(id) || is_list_of_handles(id))
      return true;
    constexpr std::array data{
      caf::type_id_v<long double>,        caf::type_id_v<std::u16string>,
      caf::type_id_v<std::u32string>,     caf::type_id_v<std::set<std::string>>,
      caf::type_id_v<caf::byte_buffer>,   caf::type_id_v<caf::error>,
      caf::type_id_v<caf::ipv4_address>,  caf::type_id_v<caf::ipv4_endpoint>,
      caf::type_id_v<caf::ipv4_subnet>,   caf::type_id_v<caf::ipv6_address>,
      caf::type_id_v<caf::ipv6_endpoint>, caf::type_id_v<caf::ipv6_subnet>,
      caf::type_id_v<caf::message>,       caf::type_id_v<caf::node_id>,
      caf::type_id_v<caf::none_t>,        caf::type_id_v<caf::unit_t>,
      caf::type_id_v<caf::uri>,
    };
    return std::ranges::find(data, id) != data.end();
  }

  /// Returns whether CAF may keep this list of types. It does not keep lists with types that are
  /// not registered.
  static bool remember(const type_list& types) {
    static known_lists all{max_lists};
    for (auto id : types.all())
      if (caf::query_type_name(id).empty())
        return true;
    return all.add(types);
  }
};

namespace detail {

/// Counts the messages that lie in each other, in this thread, while they are read.
class message_depth {
public:
  static constexpr std::size_t most = 64;

  message_depth() {
    ++depth();
  }

  message_depth(const message_depth&) = delete;
  message_depth& operator=(const message_depth&) = delete;

  ~message_depth() {
    --depth();
  }

  [[nodiscard]] static bool is_too_deep() {
    return depth() > most;
  }

private:
  static std::size_t& depth() {
    thread_local std::size_t counted = 0;
    return counted;
  }
};

} // namespace detail
} // namespace troupe

/// Reads a message that is a field of a struct: as incoming_message judges it, and at most 64 in
/// each other, because structs and messages that lie in each other would use up the stack.
template <>
struct caf::inspector_access<caf::message> : caf::inspector_access_base<caf::message> {
  template <class Inspector>
  [[nodiscard]] static bool apply(Inspector& f, caf::message& x) {
    if constexpr (std::is_same_v<Inspector, caf::binary_deserializer>)
      return read(f, x);
    else if constexpr (Inspector::is_loading)
      return x.load(f);
    else
      return x.save(f);
  }

private:
  static bool read(caf::binary_deserializer& f, caf::message& x) {
    troupe::detail::message_depth counted;
    if (counted.is_too_deep()) {
      f.emplace_error(caf::sec::runtime_error, "messages lie too deep in each other");
      return false;
    }
    auto rest = f.remainder();
    auto why = troupe::incoming_message::refusal(
      {reinterpret_cast<const char*>(rest.data()), rest.size()});
    if (why.empty())
      return troupe::compat::load(f, x);
    f.emplace_error(caf::sec::runtime_error, std::string{why});
    return false;
  }
};
