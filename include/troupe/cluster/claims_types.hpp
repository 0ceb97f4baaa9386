#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "troupe/cluster/log_effects.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/registry/name_types.hpp"
#include "troupe/registry/record.hpp"

namespace troupe::cluster {

/// Limits and times of a `claims`.
struct claims_options {
  /// The node has no data folder: nobody comes back for its names once it has ended. Its claims
  /// say so.
  bool is_fleeting = false;
  /// How long to wait for each answer.
  duration answer_within = std::chrono::seconds{10};
  /// How often what has failed is tried again.
  duration retry_every = std::chrono::seconds{10};
  /// How often a node without a data folder looks whether its names are still its.
  duration look_every = std::chrono::seconds{30};
  /// How often in its life a node goes above another boot; beyond it, it stays and says why. Two
  /// processes with one identity would go above each other for ever.
  int max_rises = 16;
  /// Records of this node, claims and releases under way; more are refused with limit_reached.
  std::size_t max_records = 100'000;
  /// Questions without an answer. Beyond it nothing new is taken, see max_records; what ends is.
  std::size_t max_questions = 100'000;
};

/// What `claims` hears and says.
struct claims_types {
  // -- events ----------------------------------------------------------------------------

  /// Says this from now on. `done` at once. Errors: limit_reached, cancelled (it has left).
  struct put {
    registry::record what;
  };

  /// Registers an agent; claims its name first if `claims`. `done` once it is said. Errors:
  /// name_taken, withdrawn (the agent ended meanwhile), in_use (an agent of that name is
  /// registered, or about to be), limit_reached, cancelled (the node has left), and what the
  /// service of names says. After an error nothing of it is left.
  struct add {
    registry::record what;
    bool claims = false;
  };

  /// The agent whose name is being claimed is to have this record once it has the name. `done` at
  /// once.
  /// @pre find_wish() of `what.key.name` has a value
  struct reword {
    registry::record what;
  };

  /// The agent has ended. Has no answer. If the step has an id, only the agent that was added with
  /// that id is meant.
  struct remove {
    agent_id name;
  };

  /// Takes back all that this node ever said, and says nothing more: it is about to end. `done`
  /// once the service of names has freed all its names.
  struct leave {};

  /// The services can be reached, or again.
  struct bound {};

  /// Somebody has heard of that boot of this node. `is_twin`: of another life that had it.
  struct outlived {
    boot_number heard = 0;
    bool is_twin = false;
  };

  /// Members have taken this node for dead: if it has no data folder, its names are free.
  struct given_up {};

  /// The host has kept this boot: the node goes on with it.
  struct risen {
    boot_number boot = 0;
  };

  /// Some node shows a record with this claim to an agent's name, or that one of this node was
  /// `taken`. `holder` is for people.
  struct seen {
    agent_id name;
    node_id owner{};
    std::uint64_t token = 0;
    bool taken = false;
    std::string holder{};
  };

  /// The answer to the `ask` of this step's id, or why there is none.
  template <class Result>
  struct heard {
    result<Result> what;
  };

  using event = std::variant<put, add, reword, remove, leave, bound, outlived, given_up, risen,
                             seen, heard<registry::names::claims>, heard<registry::names::freed>,
                             heard<registry::names::claim_page>>;

  // -- effects ---------------------------------------------------------------------------

  /// Ask the service of names, and step `heard` within `wait`.
  struct ask {
    request_id id = 0;
    std::variant<registry::names::claim, registry::names::release, registry::names::owner_gone,
                 registry::names::list_claims>
      what;
    duration wait{};
  };

  /// The node says this from here on; removals, too.
  struct says {
    std::vector<registry::record> what;
  };

  /// The request of this id has ended: once for each put, add, reword and leave with an id.
  struct done {
    request_id id = 0;
    problem why;
  };

  /// Another node has the name: the agent that was added with this id gets nothing more, and is
  /// told.
  struct lost_name {
    agent_id name;
    request_id added = 0;
    problem why;
  };

  /// The agent with that record is found here.
  struct show {
    registry::record what;
  };

  /// The agent with that record has ended, or lost its name: it is no longer found.
  struct hide {
    registry::record what;
  };

  /// Keep this boot on the disk, and step `risen`.
  struct rise {
    boot_number boot = 0;
  };

  using warn = log_effects::warn;
  using complain = log_effects::complain;
  using settle = log_effects::settle;

  using effect = std::variant<ask, says, done, lost_name, show, hide, rise, warn, complain, settle>;
  using effects = std::vector<effect>;
};

} // namespace troupe::cluster
