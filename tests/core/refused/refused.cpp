// What a compiler has to refuse, each behind a switch, and what it has to take. What it has to say
// is in tests/CMakeLists.txt.

#include "troupe/core/caf/message_block.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/fields.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>

namespace refused {

struct by_caf {
  TROUPE_FIELDS(by_caf);
};

} // namespace refused

CAF_BEGIN_TYPE_ID_BLOCK(refused_block_of_caf, 60'000)

  CAF_ADD_TYPE_ID(refused_block_of_caf, (refused::by_caf))

CAF_END_TYPE_ID_BLOCK(refused_block_of_caf)

namespace refused {

#define EIGHT_FIELDS number, number, number, number, number, number, number, number
#define ALL_FIELDS                                                                                 \
  EIGHT_FIELDS, EIGHT_FIELDS, EIGHT_FIELDS, EIGHT_FIELDS, EIGHT_FIELDS, EIGHT_FIELDS,              \
    EIGHT_FIELDS, EIGHT_FIELDS

struct taken {
  std::uint64_t number = 0;

  TROUPE_FIELDS(taken, ALL_FIELDS);
};

template <int>
struct message {
  TROUPE_FIELDS(message);
};

#define EIGHT_TYPES(first)                                                                         \
  message<first>, message<first + 1>, message<first + 2>, message<first + 3>, message<first + 4>,  \
    message<first + 5>, message<first + 6>, message<first + 7>
#define ALL_TYPES(first)                                                                           \
  EIGHT_TYPES(first), EIGHT_TYPES(first + 8), EIGHT_TYPES(first + 16), EIGHT_TYPES(first + 24),    \
    EIGHT_TYPES(first + 32), EIGHT_TYPES(first + 40), EIGHT_TYPES(first + 48),                     \
    EIGHT_TYPES(first + 56)

TROUPE_MESSAGES(takes_these, ALL_TYPES(0));

static_assert(takes_these::end - takes_these::begin == 64);

/// Names the fields of both.
struct longer : taken {
  int more = 0;

  TROUPE_FIELDS(longer, number, more);
};

TROUPE_MESSAGES(takes_derived, longer);
TROUPE_MESSAGES_AT(takes_first, 200, message<200>);
TROUPE_MESSAGES_AT(takes_below, 1'199, message<1'199>);
TROUPE_MESSAGES_AT(takes_above, 4'200, message<4'200>);
TROUPE_MESSAGES_AT(takes_last, 65'534, message<65'534>);

#ifdef FIELD_65
struct too_many {
  int number = 0;

  TROUPE_FIELDS(too_many, ALL_FIELDS, number);
};
#endif
#ifdef UNKNOWN_FIELD
struct counted {
  int number = 0;

  TROUPE_FIELDS(counted, amount);
};

[[maybe_unused]] bool show(taken& form, counted& value) {
  return inspect(form, value);
}
#endif
#ifdef UNORDERED
struct colours {
  std::unordered_map<std::string, int> all;

  TROUPE_FIELDS(colours, all);
};

[[maybe_unused]] std::string bytes_of(const colours& value) {
  return troupe::to_bytes(value);
}
#endif
#ifdef TYPE_65
TROUPE_MESSAGES(too_many, ALL_TYPES(1'000), message<2'000>);
#endif
#ifdef NO_TYPE
TROUPE_MESSAGES(empty);
#endif
#ifdef ID_OF_CAF
TROUPE_MESSAGES_AT(low, 199, message<1'000>);
#endif
#ifdef ID_OF_TROUPE
TROUPE_MESSAGES_AT(inside, 1'199, message<1'000>, message<1'001>);
#endif
#ifdef ID_BEYOND
TROUPE_MESSAGES_AT(high, 65'534, message<1'000>, message<1'001>);
#endif
#ifdef TYPE_OF_CAF
TROUPE_MESSAGES(texts, std::string);
#endif
#ifdef TYPE_OF_OTHERS
TROUPE_MESSAGES_AT(of_others, 300, by_caf);
#endif
#ifdef CONST_TYPE
TROUPE_MESSAGES(constants, const message<1'000>);
#endif
#ifdef FIELDS_OF_BASE
struct larger : taken {
  int lost = 0;
};

TROUPE_MESSAGES(larger_ones, larger);
#endif
#ifdef ANONYMOUS
namespace {
struct hidden {
  TROUPE_FIELDS(hidden);
};
} // namespace
TROUPE_MESSAGES(hidden_ones, hidden);
#endif
#ifdef TOO_LATE
static_assert(!caf::has_type_id_v<message<1'000>>);
TROUPE_MESSAGES(late, message<1'000>);
#endif
#ifdef TWO_BLOCKS
TROUPE_MESSAGES(one, message<1'000>);
TROUPE_MESSAGES(other, message<1'000>);
#endif

} // namespace refused
