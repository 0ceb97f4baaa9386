#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

#include "caf/actor.hpp"
#include "caf/actor_addr.hpp"
#include "caf/actor_cast.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/binary_deserializer.hpp"
#include "caf/error_code.hpp"
#include "caf/execution_unit.hpp"
#include "caf/inspector_access.hpp"
#include "caf/inspector_access_base.hpp"
#include "caf/node_id.hpp"
#include "caf/none.hpp"
#include "caf/proxy_registry.hpp"
#include "caf/sec.hpp"
#include "caf/typed_actor.hpp"

namespace troupe {

/// Which handles of actors are taken from the messages of one peer: those of actors of this process
/// and of the peer's, of that up to a bound. All others arrive empty, as they are of no use without
/// a link to their node, and as CAF makes a proxy for each and keeps it until its node is lost.
///
/// Counts for its thread while it exists, innermost first.
class incoming_handles {
public:
  /// The node ids as CAF writes them, and CAF's list of remote actors.
  struct link {
    caf::node_id peer;
    std::string_view written_peer;
    std::string_view written_self;
    caf::proxy_registry* proxies = nullptr;
    /// Actors of the peer's process that are known at the same time.
    std::size_t most = 10'000;
  };

  explicit incoming_handles(const link& of) : of_(of), outer_(std::exchange(current(), this)) {}

  incoming_handles(const incoming_handles&) = delete;
  incoming_handles& operator=(const incoming_handles&) = delete;

  ~incoming_handles() {
    current() = outer_;
  }

  /// Null if messages of no peer are being read in this thread.
  [[nodiscard]] static incoming_handles*& current() {
    thread_local incoming_handles* innermost = nullptr;
    return innermost;
  }

  /// Whether the handle of this actor of another process is taken.
  [[nodiscard]] bool takes(const caf::node_id& node, caf::actor_id actor) const {
    return node == of_.peer
           && (of_.proxies->count_proxies(node) + announced_ < of_.most
               || of_.proxies->get(node, actor) != nullptr);
  }

  /// Takes a written handle from the front of `bytes`. Returns false if it is not one that is
  /// taken, nor empty.
  [[nodiscard]] bool take_written(std::string_view& bytes) {
    constexpr std::size_t id_bytes = 8;
    if (bytes.size() <= id_bytes)
      return false;
    auto id = bytes.substr(0, id_bytes);
    auto node = bytes.substr(id_bytes);
    auto is_of = [&](std::string_view which) { return !which.empty() && node.starts_with(which); };
    std::size_t node_bytes = 1;
    if (is_of(of_.written_self))
      node_bytes = of_.written_self.size();
    else if (is_of(of_.written_peer) && takes(of_.peer, number_of(id))) {
      node_bytes = of_.written_peer.size();
      ++announced_; // CAF makes its proxy only when it reads the message
    } else if (node.front() != no_node)
      return false;
    bytes.remove_prefix(id_bytes + node_bytes);
    return true;
  }

private:
  /// What CAF writes for a node id that is none.
  static constexpr char no_node = -1;

  static std::uint64_t number_of(std::string_view bytes) {
    std::uint64_t result = 0;
    for (auto each : bytes)
      result = result << 8U | static_cast<unsigned char>(each);
    return result;
  }

  link of_;
  std::size_t announced_ = 0;
  incoming_handles* outer_;
};

namespace detail {

/// Reads a handle in CAF's form, as incoming_handles takes it.
inline bool read_handle(caf::binary_deserializer& from, caf::strong_actor_ptr& into) {
  caf::actor_id id = 0;
  caf::node_id node;
  auto load = [&]() -> caf::error_code<caf::sec> {
    auto* rules = incoming_handles::current();
    auto* context = from.context();
    auto is_empty = id == 0 || !node;
    if (is_empty
        || (rules != nullptr && context != nullptr && node != context->system().node()
            && !rules->takes(node, id))) {
      into = nullptr;
      return caf::none;
    }
    return caf::load_actor(into, context, id, node);
  };
  return from.object(into).pretty_name("actor").on_load(load).fields(from.field("id", id),
                                                                     from.field("node", node));
}

/// Access of CAF to handles: see read_handle(). Writes as CAF does.
template <class Handle>
struct handle_access : caf::inspector_access_base<Handle> {
  template <class Inspector>
  [[nodiscard]] static bool apply(Inspector& f, Handle& x) {
    if constexpr (std::is_same_v<Inspector, caf::binary_deserializer>) {
      caf::strong_actor_ptr read;
      if (!read_handle(f, read))
        return false;
      x = to_handle(std::move(read));
      return true;
    } else {
      return inspect(f, x); // CAF's own
    }
  }

private:
  static Handle to_handle(caf::strong_actor_ptr from) {
    if constexpr (std::is_same_v<Handle, caf::strong_actor_ptr>)
      return from;
    else if constexpr (std::is_same_v<Handle, caf::weak_actor_ptr>)
      return caf::weak_actor_ptr{from.get()};
    else
      return caf::actor_cast<Handle>(std::move(from));
  }
};

} // namespace detail
} // namespace troupe

template <>
struct caf::inspector_access<caf::strong_actor_ptr>
  : troupe::detail::handle_access<caf::strong_actor_ptr> {};

template <>
struct caf::inspector_access<caf::weak_actor_ptr>
  : troupe::detail::handle_access<caf::weak_actor_ptr> {};

template <>
struct caf::inspector_access<caf::actor> : troupe::detail::handle_access<caf::actor> {};

template <>
struct caf::inspector_access<caf::actor_addr> : troupe::detail::handle_access<caf::actor_addr> {};

template <class... Signatures>
struct caf::inspector_access<caf::typed_actor<Signatures...>>
  : troupe::detail::handle_access<caf::typed_actor<Signatures...>> {};
