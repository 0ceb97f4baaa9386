// An agent that books payments, each exactly once, whatever fails and however often a message
// comes.
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <iostream>
#include <string>

#include "troupe/node/node.hpp"
#include "troupe/once.hpp"

using namespace std::literals;
using troupe::router::delivery_class;

// [ledger]
/// The function runs in a transaction of the store, with a mark of the message: what it has written
/// is there if it returns a value, and only then.
troupe::result<void> add_ledger(troupe::node& me, const std::filesystem::path& file) {
  auto store = troupe::once_store::open(file);
  if (!store)
    return store.error();
  (*store)->database().run("CREATE TABLE IF NOT EXISTS payments(cents INTEGER NOT NULL)");
  return me.agent("ledger", {.once = *store},
                  [store = *store, tries = 0](std::int64_t cents) mutable -> troupe::result<void> {
                    auto& database = store->database();
                    auto add = database.prepare("INSERT INTO payments VALUES(?)");
                    if (!add.bind(1, cents).run())
                      return database.failed("book a payment");
                    if (++tries < 3) // it comes again, and is not booked yet
                      return troupe::later(10ms, "the bank does not answer");
                    return {};
                  });
}
// [ledger]

int main() {
  auto folder = std::filesystem::temp_directory_path() / "troupe-028-once";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directory(folder);
  auto me = troupe::node::start({.listen = {"127.0.0.1", 0}});
  if (!me || !add_ledger(*me, folder / "ledger.db"))
    return 1;
  // [pay]
  for (std::int64_t cents : {1250, 300})
    if (!me->messages().post(troupe::to_agent("ledger"), 10s, {.delivery = delivery_class::once},
                             cents))
      return 1;
  // [pay]
  troupe::storage::database file;
  if (file.open(folder / "ledger.db", troupe::storage::database::sharing::shared, ""))
    return 1;
  std::cout << file.number("SELECT COUNT(*) FROM payments") << " payments of "
            << file.number("SELECT SUM(cents) FROM payments") << " cents\n";
  file.close();
  me->stop();
  std::filesystem::remove_all(folder);
}
