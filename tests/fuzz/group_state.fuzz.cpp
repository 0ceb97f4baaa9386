#include <chrono>
#include <map>
#include <string>
#include <variant>

#include "fuzz/laws.hpp"
#include "troupe/group/group_backup.hpp"
#include "troupe/group/group_core.hpp"
#include "troupe/host/replicated_core.hpp"
#include "troupe/lock/lock_table.hpp"
#include "troupe/scheduler/task_scheduler.hpp"
#include "troupe/state/state_table.hpp"

namespace group_state_fuzz {

namespace {

// What a group starts from: a backup, the state of all services in it, and the section of one.

using namespace troupe;

/// A service takes its section, or says why not; what it took it can write down again, and it
/// goes on.
template <class Machine>
void restore(std::string_view section) {
  using core = host::replicated_core<Machine>;
  core inside{1, {}};
  typename core::effects out;
  auto before = inside.section();
  auto why = inside.restore_section(section, out);
  if (why.code != errc::none)
    return test::must_hold(inside.section() == before, "a section that is refused changes nothing");
  core other{2, {}};
  test::must_hold(other.restore_section(inside.section(), out).code == errc::none,
                  "what was restored can be written and restored");
  test::must_hold(other.section() == inside.section(), "a section is the same after a round trip");
  auto saved = inside.snapshot();
  Machine machine;
  typename Machine::effects told;
  machine.restore(saved.at, saved.inside);
  machine.tick(saved.at + std::chrono::hours{1}, told); // leases end, what waits begins
}

void begin_group(const std::string& state) {
  constexpr host::service_id locks = 1;
  host::group_core group{raft::member_id{1}, {raft::lan()}, {{locks, 1}}, {}, time_point{}};
  host::group_core::effects out;
  if (group.begin(state, out).code != errc::none)
    return;
  for (auto& what : out)
    if (auto* part = std::get_if<host::group_core::restore_section>(&what))
      restore<lock::lock_table>(part->bytes);
}

int one_input(const std::uint8_t* data, std::size_t size) {
  std::string bytes{test::text_of(data, size)};
  test::check_codec<host::group_backup>(bytes);
  test::check_codec<host::group_state>(bytes);
  test::must_hold(!host::backup_from(bytes) || size > 4, "a backup has a checksum");
  restore<lock::lock_table>(bytes);
  restore<state::state_table>(bytes);
  restore<scheduler::task_scheduler>(bytes);
  begin_group(bytes);
  if (auto read = from_bytes<host::group_backup>(bytes)) {
    auto again = host::backup_from(host::to_file(*read));
    test::must_hold(again && *again == *read, "a backup is read as it was made");
    begin_group(again->state);
  }
  return 0;
}

} // namespace

} // namespace group_state_fuzz

TROUPE_FUZZER(group_state, group_state_fuzz::one_input)
