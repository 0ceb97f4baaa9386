// Runs a scenario (TROUPE_SCENARIO of TROUPE_SCENARIO_HEADER) with a flaw planted (see
// core/flaw.hpp) until a law is found broken. Exits with 0 if one was, with 1 if all seeds passed.
//
// Usage: hunt_SCENARIO FLAW [SEEDS [FIRST]]

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/varied_world.hpp"
#include "troupe/core/flaw.hpp"
#include TROUPE_SCENARIO_HEADER

int main(int count, char** words) {
  using namespace troupe;
  planted_flaw = flaw_of(count > 1 ? words[1] : "");
  if (planted_flaw == flaw::none) {
    std::printf("give the name of a flaw\n");
    return EXIT_FAILURE;
  }
  auto seeds = count > 2 ? std::stoull(words[2]) : 200;
  auto first = count > 3 ? std::stoull(words[3]) : 0;
  for (auto seed = first; seed < first + seeds; ++seed) {
    auto how = test::varied_group(seed, std::chrono::seconds{30});
    auto found = sim::TROUPE_SCENARIO{how}.run().violations;
    if (found.empty())
      continue;
    std::printf("seed %llu: %s\n", seed, found.front().c_str());
    return EXIT_SUCCESS;
  }
  std::printf("%llu seeds passed\n", seeds);
  return EXIT_FAILURE;
}
