// A process to be killed: acquires lock after lock from a durable service and
// writes a line for each answer, after the answer.
//
// Usage: lock_keeper FILE [SESSION NUMBER]; with these it goes on in an earlier
// life's session: it looks at the lock of that number, as a repeat would hide its
// loss, then repeats the request.

#include "troupe/core/caf/init.hpp"
#include "troupe/host/durable.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/storage/sqlite_log.hpp"

#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/scoped_actor.hpp"

using namespace std::literals;
using namespace troupe;

namespace {

/// A disk so slow that a kill is likely to come before a write. On a fast one an
/// answer given too early is on the disk before anybody can notice.
class slow_log : public storage::sqlite_log {
public:
  using sqlite_log::sqlite_log;

  problem append(const std::vector<storage::stored_record>& records) {
    std::this_thread::sleep_for(3ms);
    return sqlite_log::append(records);
  }
};

/// Returns the answer to `what`; ends the program if that is an error.
template <class Result, class... Ts>
Result ask(caf::scoped_actor& self, const lock::lock_actor& hdl, const Ts&... what) {
  Result result;
  self->request(hdl, 10s, what...)
    .receive([&](Result& value) { result = std::move(value); },
             [](caf::error& why) {
               std::cout << "error: " << to_string(why) << std::endl;
               std::_Exit(1);
             });
  return result;
}

void run(caf::actor_system& sys, const std::string& file, host::session_id session,
         std::uint64_t number) {
  auto hdl = host::spawn<lock::lock_service>(
    sys, {}, host::durable{std::make_unique<slow_log>(file)}, {.snapshot_every = 20});
  if (!hdl) {
    std::cout << "error: " << to_string(hdl.error()) << std::endl;
    return;
  }
  caf::scoped_actor self{sys};
  if (session == host::session_id{})
    session = ask<host::session_id>(self, *hdl, host::open_session{});
  std::cout << "session " << session.value << std::endl;
  auto owner_of = [&] { return std::to_string(session.value) + '/' + std::to_string(number); };
  auto last = ask<lock::lock_view>(self, *hdl, lock::find_lock{"lock " + owner_of()});
  if (!last.holders.empty())
    std::cout << "held " << number << ' ' << last.holders.front().value.token.value << std::endl;
  else if (number > 1)
    std::cout << "lost " << number << std::endl;
  for (;; ++number) {
    auto acked = number < 2 ? 0 : number - 2;
    auto owner = owner_of();
    auto held = ask<lock::lease>(self, *hdl, host::call{session, number, acked},
                                 lock::acquire{"lock " + owner, owner, 10min, 0s});
    std::cout << "held " << number << ' ' << held.token.value << std::endl;
  }
}

} // namespace

int main(int argc, char** argv) {
  init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host,
                caf::id_block::troupe_lock>();
  caf::actor_system_config cfg;
  caf::actor_system sys{cfg};
  auto number_at = [&](int position) { return std::stoull(argv[position]); };
  if (argc == 2)
    run(sys, argv[1], {}, 1);
  else if (argc == 4)
    run(sys, argv[1], {number_at(2)}, number_at(3));
  return 1;
}
