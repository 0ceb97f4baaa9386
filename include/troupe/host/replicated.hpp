#pragma once

#include <memory>
#include <utility>

#include "troupe/host/durable_core.hpp"
#include "troupe/host/group_member.hpp"
#include "troupe/host/in_memory.hpp"

namespace troupe::host {

/// A host whose journal is the log of a group of nodes; see group.hpp, which makes them.
class replicated {
public:
  explicit replicated(std::shared_ptr<group_member> member) : member_(std::move(member)) {}

  [[nodiscard]] group_member* group() const {
    return member_.get();
  }

  template <machine M>
  problem load(durable_core<M>&) {
    return {}; // the group delivers the state
  }

  template <machine M, class Home, class Done>
  void append(const batch<M>&, const Home&, const Done&) {} // goes to the group

  template <machine M, class Home, class Failed>
  void save(const std::shared_ptr<const durable_snapshot<M>>&, const Home&, const Failed&) {}

  /// The floor for tokens at the first start of the group.
  [[nodiscard]] static std::uint64_t token_floor() {
    return in_memory::token_floor();
  }

private:
  std::shared_ptr<group_member> member_;
};

} // namespace troupe::host
