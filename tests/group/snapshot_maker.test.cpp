#include "troupe/group/snapshot_maker.hpp" // the header under test
#include "troupe/core/visit.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace snapshot_maker_test {

using namespace troupe;
using namespace troupe::host;
using Catch::Matchers::ContainsSubstring;
using services = std::vector<service_id>;

namespace {

constexpr service_id locks = 1;
constexpr service_id names = 2;
constexpr auto tickets = number_of_own("tickets");
const service_title tickets_title{"tickets", "ticket_service"};
constexpr std::uint32_t every = 10;
constexpr std::uint64_t every_bytes = 1'000;

/// The maker of one replica, and what it said. The test is the log, the services and the disk.
struct maker {
  snapshot_maker made{options(), 0};
  own_services own{{{tickets, tickets_title}}};
  std::set<service_id> stepped{locks, names};

  services asked; // for their sections
  std::vector<snapshot_maker::save> saves;
  std::vector<problem> stops;
  std::vector<problem> warnings;

  static group_options options() {
    group_options how;
    how.snapshot_every = every;
    how.snapshot_every_bytes = every_bytes;
    how.consensus.max_snapshot_bytes = 2'000;
    return how;
  }

  void take(raft::log_index here, const checkpoint& what = {}) {
    hear(made.take(what, {here, 1, {}, {}}, own, stepped));
  }

  void add(service_id which, raft::log_index index, std::string bytes, std::uint64_t hash = 7) {
    snapshot_maker::section what{which, index, std::move(bytes), hash};
    hear(made.add(what, own));
  }

  /// All of one snapshot.
  void make(raft::log_index here, const std::string& bytes = "state", std::uint64_t hash = 7) {
    take(here);
    for (auto each : stepped)
      add(each, here, bytes, hash);
    REQUIRE(made.end({here, true}));
  }

private:
  void hear(snapshot_maker::effects out) {
    for (auto& what : out)
      troupe::visit([this](auto& each) { hear(each); }, what);
  }

  void hear(snapshot_maker::take_section& what) {
    asked.push_back(what.service);
  }

  void hear(snapshot_maker::save& what) {
    saves.push_back(std::move(what));
  }

  void hear(snapshot_maker::stop& what) {
    stops.push_back(std::move(what.why));
  }

  void hear(snapshot_maker::warned& what) {
    warnings.push_back(std::move(what.why));
  }
};

/// What a leader had behind entry `previous`.
checkpoint checkpoint_of(raft::log_index previous, std::map<service_id, std::uint64_t> hashes) {
  return {previous, to_string(library_version), std::move(hashes)};
}

} // namespace

// -- checkpoints ----------------------------------------------------------------------------------

SCENARIO("a checkpoint is due after so many entries, or so many bytes of them", "[host][group]") {
  GIVEN("a replica with a snapshot behind entry 20") {
    maker one;
    one.made = snapshot_maker{maker::options(), 20};
    WHEN("nine entries are applied") {
      THEN("none is due") {
        CHECK_FALSE(one.made.next_checkpoint(29));
      }
    }
    WHEN("ten are") {
      THEN("one is, and once") {
        CHECK(one.made.next_checkpoint(30));
        CHECK_FALSE(one.made.next_checkpoint(50));
      }
    }
    WHEN("one large entry is") {
      one.made.count(every_bytes - 1);
      CHECK_FALSE(one.made.next_checkpoint(21));
      one.made.count(1);
      THEN("one is due") {
        CHECK(one.made.next_checkpoint(21));
      }
    }
    WHEN("a checkpoint is applied") {
      one.made.count(every_bytes);
      REQUIRE(one.made.next_checkpoint(21));
      one.make(22);
      THEN("entries and bytes count from there") {
        CHECK_FALSE(one.made.next_checkpoint(31));
        one.made.count(every_bytes - 1);
        CHECK_FALSE(one.made.next_checkpoint(31));
        CHECK(one.made.next_checkpoint(32));
      }
    }
  }
}

SCENARIO("a large state is written again after as many bytes of entries", "[host][group]") {
  GIVEN("a state of more bytes than make a snapshot due") {
    maker one;
    auto is_installed = GENERATE(false, true);
    if (is_installed)
      one.made.restore(5, 2 * every_bytes);
    else
      one.make(5, std::string(every_bytes, 'x'));
    WHEN("so many bytes of entries are applied") {
      one.made.count(2 * every_bytes - 1);
      THEN("no checkpoint is due until there are as many as the state has") {
        CHECK_FALSE(one.made.next_checkpoint(6));
        one.made.count(every_bytes);
        CHECK(one.made.next_checkpoint(6));
      }
    }
  }
}

SCENARIO("a checkpoint that is not in the log is due again", "[host][group]") {
  GIVEN("a leader that has proposed one") {
    maker one;
    REQUIRE(one.made.next_checkpoint(every));
    WHEN("the log does not take it") {
      one.made.not_taken();
      THEN("it is due again") {
        CHECK(one.made.next_checkpoint(every));
      }
    }
    WHEN("its lead ends") {
      one.made.end_lead();
      THEN("it is due in the next one") {
        CHECK(one.made.next_checkpoint(every));
      }
    }
  }
}

SCENARIO("a snapshot that is wanted makes a checkpoint due", "[host][group]") {
  GIVEN("a leader that was asked for a snapshot") {
    maker one;
    one.made.want(true);
    WHEN("its checkpoint is proposed and applied") {
      CHECK(one.made.next_checkpoint(1));
      CHECK(one.made.is_wanted());
      one.make(2);
      THEN("the wish is granted") {
        CHECK_FALSE(one.made.is_wanted());
        CHECK_FALSE(one.made.next_checkpoint(2));
      }
    }
    WHEN("its lead ends") {
      one.made.end_lead();
      THEN("nothing is wanted any more") {
        CHECK_FALSE(one.made.is_wanted());
        CHECK_FALSE(one.made.next_checkpoint(1));
      }
    }
  }
  GIVEN("one that was asked while it makes a snapshot") {
    maker one;
    one.take(1);
    one.made.want(true);
    THEN("no checkpoint is proposed until that one is done") {
      CHECK_FALSE(one.made.next_checkpoint(1));
      REQUIRE(one.made.end({1, true}));
      CHECK(one.made.next_checkpoint(1));
    }
    WHEN("a checkpoint is applied that others have proposed") {
      one.take(2);
      THEN("the snapshot is still wanted, as none is made there") {
        CHECK(one.made.is_wanted());
      }
    }
  }
}

// -- making one -----------------------------------------------------------------------------------

SCENARIO("a snapshot has the sections of all services behind one entry", "[host][group]") {
  GIVEN("a replica that has applied a checkpoint") {
    maker one;
    one.take(5);
    CHECK(one.asked == services{locks, names});
    WHEN("one section has come") {
      one.add(locks, 5, "of locks");
      THEN("it waits for the other") {
        CHECK(one.saves.empty());
      }
      AND_WHEN("and the other, too") {
        one.add(names, 5, "of names");
        THEN("the snapshot goes to the disk") {
          REQUIRE(one.saves.size() == 1);
          CHECK(one.saves.front().header.index == 5);
          CHECK(one.saves.front().state.sections
                == std::map<service_id, std::string>{{locks, "of locks"}, {names, "of names"}});
        }
      }
      AND_WHEN("it comes once more, with other bytes") {
        one.add(locks, 5, "later");
        one.add(names, 5, "of names");
        THEN("the first one counts") {
          CHECK(one.saves.front().state.sections[locks] == "of locks");
        }
      }
    }
    WHEN("a section of another entry comes") {
      one.add(locks, 4, "early");
      one.add(names, 5, "of names");
      THEN("it is ignored") {
        CHECK(one.saves.empty());
      }
    }
  }
  GIVEN("one that steps no service") {
    maker one;
    one.stepped = {};
    one.take(5);
    THEN("there is nothing to wait for") {
      CHECK(one.saves.size() == 1);
    }
  }
}

SCENARIO("of services that are not stepped here a snapshot has what is kept", "[host][group]") {
  GIVEN("a replica that keeps a service which its program lacks") {
    maker one;
    one.own = own_services{{}};
    REQUIRE(one.own.introduce({tickets, tickets_title}));
    REQUIRE_FALSE(one.own.keep(tickets, 3, "an entry", 100));
    WHEN("a snapshot is made") {
      one.make(5);
      THEN("it has its title and its entries, and the service is asked for nothing") {
        CHECK(one.asked == services{locks, names});
        REQUIRE(one.saves.size() == 1);
        auto& state = one.saves.front().state;
        CHECK(state.introduced.at(tickets) == tickets_title);
        CHECK(state.unread.at(tickets).size() == 1);
      }
    }
  }
  GIVEN("one whose program has the service") {
    maker one;
    REQUIRE(one.own.introduce({tickets, tickets_title}));
    REQUIRE_FALSE(one.own.keep(tickets, 3, "an entry", 100));
    one.stepped.insert(tickets);
    WHEN("its section comes") {
      one.make(5);
      THEN("that is kept in place of the entries before it") {
        CHECK(one.own.section(tickets) == "state");
        CHECK(one.own.unread(tickets).empty());
      }
    }
  }
}

SCENARIO("one snapshot is made at a time", "[host][group]") {
  GIVEN("a replica whose disk is still writing a snapshot") {
    maker one;
    one.take(5);
    one.add(locks, 5, "");
    one.add(names, 5, "");
    REQUIRE(one.saves.size() == 1);
    one.asked.clear();
    WHEN("the next checkpoint is applied") {
      one.take(9);
      THEN("none is made there") {
        CHECK(one.asked.empty());
      }
    }
    WHEN("the disk speaks of another snapshot") {
      THEN("this one is still waited for") {
        CHECK_FALSE(one.made.end({4, true}));
        CHECK(one.made.end({5, true}));
      }
    }
    WHEN("the disk could not keep it") {
      CHECK(one.made.end({5, false}));
      THEN("the next checkpoint makes another") {
        one.take(9);
        CHECK(one.asked == services{locks, names});
      }
    }
  }
}

SCENARIO("a snapshot whose section will not come is given up", "[host][group]") {
  GIVEN("a replica that awaits a section") {
    maker one;
    one.take(5);
    one.add(locks, 5, "");
    WHEN("the service that owes it ends") {
      THEN("the snapshot is given up, and the next checkpoint makes another") {
        CHECK(one.made.give_up(names));
        CHECK_FALSE(one.made.give_up(names));
        one.asked.clear();
        one.take(9);
        CHECK(one.asked == services{locks, names});
      }
    }
    WHEN("one ends whose section is there") {
      THEN("the snapshot is made") {
        CHECK_FALSE(one.made.give_up(locks));
        one.add(names, 5, "");
        CHECK(one.saves.size() == 1);
      }
    }
  }
}

SCENARIO("of a state that was replaced no snapshot is made", "[host][group]") {
  GIVEN("a replica that makes a snapshot") {
    maker one;
    one.made.count(every_bytes);
    one.take(5);
    WHEN("the leader's is installed") {
      one.made.count(every_bytes);
      one.made.restore(50, 10);
      THEN("sections of the old state are ignored") {
        one.add(locks, 5, "");
        one.add(names, 5, "");
        CHECK(one.saves.empty());
        CHECK_FALSE(one.made.end({5, true}));
      }
      THEN("entries and bytes count from there") {
        CHECK_FALSE(one.made.next_checkpoint(59));
        CHECK(one.made.next_checkpoint(60));
      }
    }
  }
}

// -- comparing ------------------------------------------------------------------------------------

SCENARIO("a replica compares its state with the leader's at the checkpoint before",
         "[host][group]") {
  GIVEN("a replica with a snapshot behind entry 5") {
    maker one;
    one.make(5);
    THEN("as leader it says what its sections hashed to") {
      one.made.want(true);
      auto said = one.made.next_checkpoint(6);
      REQUIRE(said);
      CHECK(said->previous == 5);
      CHECK(said->release == to_string(library_version));
      CHECK(said->hashes == std::map<service_id, std::uint64_t>{{locks, 7}, {names, 7}});
    }
    WHEN("the leader had the same") {
      one.take(9, checkpoint_of(5, {{locks, 7}, {names, 7}}));
      THEN("it goes on") {
        CHECK(one.stops.empty());
        CHECK(one.asked.size() == 4);
      }
    }
    WHEN("the leader had something else of one service") {
      one.take(9, checkpoint_of(5, {{locks, 7}, {names, 8}}));
      THEN("it stops, says of which, and makes no snapshot of what may be wrong") {
        REQUIRE(one.stops.size() == 1);
        CHECK(one.stops.front().code == errc::damaged);
        CHECK_THAT(one.stops.front().detail, ContainsSubstring("service 2 after entry 5")
                                               && ContainsSubstring("move its log away"));
        CHECK(one.asked.size() == 2);
      }
    }
    WHEN("the leader says nothing of a service that it does not step") {
      one.take(9, checkpoint_of(5, {{locks, 7}, {3, 8}}));
      THEN("it goes on") {
        CHECK(one.stops.empty());
      }
    }
    WHEN("the leader's snapshot was of another entry") {
      one.take(9, checkpoint_of(4, {{locks, 8}}));
      THEN("nothing is compared") {
        CHECK(one.stops.empty());
      }
    }
    WHEN("the leader has another release") {
      one.take(9, {5, "99.0.0", {{locks, 8}}});
      THEN("nothing is compared, as it may write the same state otherwise") {
        CHECK(one.stops.empty());
      }
    }
    WHEN("its state was replaced since") {
      one.made.restore(50, 10);
      one.take(51, checkpoint_of(5, {{locks, 8}}));
      THEN("nothing is compared") {
        CHECK(one.stops.empty());
      }
    }
  }
  GIVEN("one with a service that its program brings") {
    maker one;
    REQUIRE(one.own.introduce({tickets, tickets_title}));
    one.stepped.insert(tickets);
    one.make(5);
    WHEN("the leader had something else of that") {
      one.take(9, checkpoint_of(5, {{tickets, 8}}));
      THEN("it says so and goes on, as releases of programs are not known") {
        CHECK(one.stops.empty());
        REQUIRE(one.warnings.size() == 1);
        CHECK(one.warnings.front().code == errc::damaged);
        CHECK_THAT(one.warnings.front().detail, ContainsSubstring("'tickets'"));
        CHECK(one.asked.size() == 6);
      }
    }
  }
}

// -- sizes ----------------------------------------------------------------------------------------

TEST_CASE("the size of a snapshot is known before it is written", "[host][group]") {
  group_state state;
  for (service_id each = 0; each < 5; ++each) {
    CHECK(written_bytes(state) == to_bytes(state).size());
    state.sections[each] = std::string(each * 100U, 'x');
    state.introduced[each] = tickets_title;
    state.unread[each] = {{each, std::string(each, 'y')}};
  }
}

TEST_CASE("a snapshot that is too large to be sent is kept, and that is said", "[host][group]") {
  maker one;
  one.make(5, std::string(900, 'x'));
  CHECK(one.warnings.empty());
  one.make(9, std::string(1'000, 'x'));
  CHECK(one.saves.size() == 2);
  REQUIRE(one.warnings.size() == 1);
  CHECK(one.warnings.front().code == errc::limit_reached);
  CHECK_THAT(one.warnings.front().detail,
             ContainsSubstring("max_snapshot_bytes") && ContainsSubstring("does not catch up"));
}

TEST_CASE("a state that no disk keeps is said to be one", "[host][group]") {
  snapshot_maker made{maker::options(), 0};
  CHECK_FALSE(made.why_too_large(2'000));
  CHECK(made.why_too_large(2'001).code == errc::limit_reached);
  CHECK_THAT(made.why_too_large(5'000'000'000).detail, ContainsSubstring("the log grows"));
}

} // namespace snapshot_maker_test
