#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/sim/laws/node_laws.hpp"
#include "troupe/sim/world/group_seat.hpp"
#include "troupe/sim/world/node_setting.hpp"
#include "troupe/sim/world/world.hpp"

namespace troupe::sim {

/// Who a simulated node is in one life of its process: one with a data folder is another node for
/// each disk, one without in each life.
template <class Process>
class node_life {
public:
  using home = environment<Process>;

  /// The disk knows of it from then on.
  explicit node_life(home& here) {
    auto& kept = here.disk();
    has_folder_ = here.self() % 3 != 2;
    if (!has_folder_)
      kept = {};
    while (kept.id.empty() || is_fleeting(id_of(key_of(kept.id))) == has_folder_)
      kept.id = std::to_string(here.self()) + "-" + std::to_string(++here.setting().ids);
    if (has_folder_)
      group_seat<home>::take_seat(here);
    boot_ = ++kept.boot;
    key_ = key_of(kept.id);
    id_ = id_of(key_);
    here.setting().members[id_] = {here.self(), key_};
    note_boot(here, id_, boot_);
    // In an earlier life, whose boot may be this one.
    here.setting().tasks.gone(here.calendar().time_since_epoch(), id_, boot_);
  }

  /// That node has that boot from here on.
  static void note_boot(home& here, const node_id& id, boot_number boot) {
    if (!here.setting().begun.emplace(id, boot).second)
      here.setting().twins.insert(id);
  }

  /// Of the start.
  [[nodiscard]] boot_number boot() const {
    return boot_;
  }

  [[nodiscard]] const public_key& key() const {
    return key_;
  }

  [[nodiscard]] const node_id& id() const {
    return id_;
  }

  [[nodiscard]] bool has_folder() const {
    return has_folder_;
  }

private:
  /// A node that has its disk has its key.
  static public_key key_of(const std::string& id) {
    public_key made;
    for (std::size_t each = 0; each < id.size(); ++each)
      made.bytes.at(each) = static_cast<std::byte>(id[each]);
    return made;
  }

  bool has_folder_ = false;
  boot_number boot_ = 0;
  public_key key_;
  node_id id_;
};

} // namespace troupe::sim
