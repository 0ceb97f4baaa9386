#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "caf/binary_serializer.hpp"
#include "caf/detail/meta_object.hpp"
#include "caf/init_global_meta_objects.hpp"
#include "caf/inspector_access_type.hpp"
#include "caf/type_id.hpp"
#include "troupe/core/caf/message_block.hpp"

namespace troupe {

namespace detail {

template <class T>
constexpr bool can_be_written
  = !std::is_same_v<decltype(caf::inspect_access_type<caf::binary_serializer, T>()),
                    caf::inspector_access_type::none>;

template <std::int64_t First, class... Ts>
void register_block(const message_block<First, Ts...>*) {
  constexpr bool all_can_be_written = (can_be_written<Ts> && ...);
  static_assert(all_can_be_written,
                "a message type of this block has no inspect; give it TROUPE_FIELDS");
  if constexpr (all_can_be_written) {
    caf::detail::meta_object types[]{caf::detail::make_meta_object<Ts>(caf::type_name_v<Ts>)...};
    caf::detail::set_global_meta_objects(static_cast<caf::type_id_t>(First), types);
  }
}

} // namespace detail

/// The blocks of type IDs that a program uses, in any order: those of TROUPE_MESSAGES and of CAF's
/// own macros. CAF 0.18.7 aborts when a later block starts below an earlier one and ends above it,
/// so they are kept in order.
class message_blocks {
public:
  /// Adds the blocks of another list.
  void add(const message_blocks& others) {
    for (auto& each : others.blocks_)
      add(each);
  }

  /// Adding a block again changes nothing.
  template <class Block>
  void add() {
    add({Block::begin, Block::end, detail::cpp_name<Block>(), [] {
           if constexpr (requires(const Block* block) { detail::register_block(block); })
             detail::register_block(static_cast<const Block*>(nullptr));
           else
             caf::init_global_meta_objects<Block>();
         }});
  }

  [[nodiscard]] bool empty() const {
    return blocks_.empty();
  }

  /// Throws std::logic_error if two blocks share type IDs, as CAF would end the program for it.
  void refuse_collisions() const {
    const block* before = nullptr;
    for (auto& each : blocks_) {
      if (before != nullptr && each.begin < before->end)
        throw std::logic_error{"the message blocks " + in_words(*before) + " and " + in_words(each)
                               + " collide; give one of them other type IDs with "
                                 "TROUPE_MESSAGES_AT, the same in all programs of the cluster"};
      before = &each;
    }
  }

  /// Registers them all. Call before any actor_system. Throws std::logic_error if two blocks share
  /// type IDs, and registers none then.
  void init() const {
    refuse_collisions();
    caf::core::init_global_meta_objects();
    // At once: CAF would copy its table for each block, 0.3 ms for ours together.
    if (!blocks_.empty() && caf::detail::global_meta_objects().size() < blocks_.back().end)
      caf::detail::resize_global_meta_objects(blocks_.back().end);
    for (auto& each : blocks_)
      each.add_to_caf();
  }

private:
  struct block {
    caf::type_id_t begin;
    caf::type_id_t end;
    std::string_view name;
    void (*add_to_caf)();
  };

  void add(const block& what) {
    auto place = blocks_.begin();
    for (; place != blocks_.end() && place->begin <= what.begin; ++place)
      if (place->begin == what.begin && place->name == what.name && place->end == what.end)
        return;
    blocks_.insert(place, what);
  }

  static std::string in_words(const block& what) {
    return std::string{what.name} + " (type IDs " + std::to_string(what.begin) + " to "
           + std::to_string(what.end - 1) + ")";
  }

  std::vector<block> blocks_;
};

/// Registers the messages of the given blocks. Call once, first thing in main. Throws
/// std::logic_error if two of them share type IDs.
template <class... Blocks>
void init_messages() {
  message_blocks list;
  (list.add<Blocks>(), ...);
  list.init();
}

} // namespace troupe
