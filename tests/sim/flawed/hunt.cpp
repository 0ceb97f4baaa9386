// Runs a scenario (TROUPE_SCENARIO of TROUPE_SCENARIO_HEADER) over a build with a flaw planted
// (see core/flaw.hpp) until a law is found broken. Exits with 0 if one was, with 1 if all seeds
// passed.

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "support/varied_world.hpp"
#include "troupe/core/flaw.hpp"
#include TROUPE_SCENARIO_HEADER

int main(int count, char** words) {
  using namespace troupe;
  static_assert(planted_flaw != flaw::none);
  std::uint64_t seeds = count > 1 ? std::stoull(words[1]) : 200;
  for (std::uint64_t seed = 0; seed < seeds; ++seed) {
    auto how = test::varied_group(seed, std::chrono::seconds{30});
    auto found = sim::TROUPE_SCENARIO{how}.run().violations;
    if (found.empty())
      continue;
    std::printf("seed %llu: %s\n", static_cast<unsigned long long>(seed), found.front().c_str());
    return EXIT_SUCCESS;
  }
  std::printf("%llu seeds passed\n", static_cast<unsigned long long>(seeds));
  return EXIT_FAILURE;
}
