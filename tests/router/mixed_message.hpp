#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "caf/event_based_actor.hpp"
#include "caf/inspector_access.hpp"

#include "core/everything.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/caf/inspect_bytes.hpp"
#include "troupe/core/caf/inspect_time.hpp"
#include "troupe/core/caf/message_block.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/core/random.hpp"

/// Messages for the forms that leave CAF: on the disk, and in other languages.
namespace mixed_message {

using namespace troupe;
using namespace std::literals;

struct order {
  std::uint32_t pieces = 0;
  std::string article;

  friend bool operator==(const order&, const order&) = default;

  TROUPE_FIELDS(order, pieces, article);
};

struct call {
  caf::actor whom;
  std::string text;

  TROUPE_FIELDS(call, whom, text);
};

/// A field of every shape that CAF can send.
struct mixed {
  bool flag = false;
  std::int8_t tiny = 0;
  std::uint16_t small = 0;
  std::int32_t whole = 0;
  std::uint64_t number = 0;
  float ratio = 0;
  double share = 0;
  errc code = errc::none;
  duration span{};
  wall_time due{};
  std::string text;
  std::vector<std::byte> bytes;
  std::array<std::byte, 5> key{};
  std::pair<std::string, std::uint8_t> two{"", 0};
  std::tuple<bool, std::string, duration> three{false, "", 0};
  std::vector<bool> flags;
  std::deque<problem> problems;
  std::map<std::uint64_t, std::vector<std::string>> lines;
  std::optional<order> perhaps;
  std::vector<std::optional<duration>> naps;
  std::variant<order, test::square> shape{};

  friend bool operator==(const mixed&, const mixed&) = default;

  TROUPE_FIELDS(mixed, flag, tiny, small, whole, number, ratio, share, code, span, due, text, bytes,
                key, two, three, flags, problems, lines, perhaps, naps, shape);
};

inline errc known(errc any) {
  return static_cast<errc>(static_cast<std::size_t>(any) % errc_names.size());
}

inline mixed some(random_source random) {
  test::maker from{random};
  auto all = from.all();
  mixed made{all.flag,  all.tiny,  all.small,    all.whole, all.number, all.ratio, all.share,
             all.code,  all.span,  all.due,      all.text,  all.bytes,  all.key,   all.two,
             all.three, all.flags, all.problems, all.lines, {},         all.naps,  {}};
  made.code = known(all.code);
  for (auto& each : made.problems)
    each.code = known(each.code);
  if (all.flag)
    made.perhaps = order{all.small, all.text};
  if (all.tiny < 0)
    made.shape = test::square{all.small};
  return made;
}

TROUPE_MESSAGES_AT(of_mixed_messages, 61'000, order, call, test::square, mixed);

inline void init() {
  init_messages<caf::id_block::troupe_core, of_mixed_messages>();
}

} // namespace mixed_message
