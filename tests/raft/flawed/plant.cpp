// Plants the flaw that TROUPE_FLAW names before any test runs.

#include <cstdio>
#include <cstdlib>

#include "troupe/core/flaw.hpp"

namespace {

bool plant() {
  auto* name = std::getenv("TROUPE_FLAW");
  troupe::planted_flaw = troupe::flaw_of(name == nullptr ? "" : name);
  if (troupe::planted_flaw != troupe::flaw::none)
    return true;
  std::fputs("TROUPE_FLAW names no flaw\n",
             stderr); // a success is what nobody expects of this program
  std::_Exit(EXIT_SUCCESS);
}

[[maybe_unused]] const bool is_planted = plant();

} // namespace
