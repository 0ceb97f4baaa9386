// How the command says what routers refuse.

#include "../../examples/troupe/wording.hpp"

#include "troupe/router/detail/refusals.hpp"

#include <catch2/catch_test_macros.hpp>

#include <string>
#include <vector>

namespace wording_test {

using namespace troupe;
using router::detail::too_many_confirms;

TEST_CASE("a bound that no command sets is not named by it, also where a sentence has two",
          "[cluster][cli]") {
  auto full = cli::in_our_words(too_many_confirms("ledger", 5, 9, 700).detail);
  CHECK(full
        == "9 messages of class confirm or once with 700 bytes have not ended, 5 of them for "
           "agent 'ledger'; nothing was sent, retry with backoff; these bounds cannot be set by "
           "command");
  for (auto& refused :
       std::vector<problem>{router::detail::no_place_in_line(9), too_many_confirms("a", 1, 1, 1),
                            router::detail::too_many_pending(9, 1), router::detail::inbox_full("a"),
                            router::detail::no_store("a"), router::detail::expired(),
                            router::detail::given_up({}), router::detail::no_disk()}) {
    auto said = cli::in_our_words(refused.detail);
    INFO(said);
    for (auto* word : {"options", "max_", "durability"})
      CHECK(said.find(word) == std::string::npos);
  }
}

TEST_CASE("what became of a message is said with the command that shows more", "[cluster][cli]") {
  auto given_up = router::detail::given_up({errc::failed, "a fever"});
  CHECK(cli::in_our_words(given_up.detail)
        == "the agent failed to handle the message, and it was given up (troupe dead-letters shows "
           "it); at last: a fever");
  CHECK(cli::in_our_words(router::detail::not_handled_yet({}).detail)
          .ends_with("; troupe inbox shows where it waits"));
}

} // namespace wording_test
