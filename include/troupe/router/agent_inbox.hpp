#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/core/flaw.hpp"
#include "troupe/core/names.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/shares.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/inbox_space.hpp"
#include "troupe/router/link_window.hpp"
#include "troupe/router/message_options.hpp"
#include "troupe/router/priority_line.hpp"
#include "troupe/router/tenant_line.hpp"
#include "troupe/router/waiting_room.hpp"

namespace troupe::router {

/// What becomes of messages for an agent for which too many wait already.
enum class when_full : std::uint8_t {
  /// Whoever sends one more is told limit_reached.
  reject = 0,
  /// The one that has waited for longest at the lowest priority gives way, of the tenant that has
  /// most there for its weight: most messages where these are too many, else most bytes. Whoever
  /// waits for its answer is told limit_reached.
  drop_oldest = 1,
};

/// Bounds of what waits for one agent, beside the few messages in its mailbox.
struct inbox_options {
  /// Messages, at least one. Beyond it the inbox is full until half of them have gone.
  std::size_t max_messages = 100'000; // by default the bytes decide
  /// Their bytes, likewise, and 48 for each message. A message of any size is taken where nothing
  /// waits.
  std::size_t max_bytes = 4U << 20U; // four times that is more than waits for and is on a link
  /// What becomes of one more.
  when_full full = when_full::reject;
  /// How many messages of a tenant (message_options::tenant) go in its turn, where others wait at
  /// the same priority; 1 to 1,000. One that is not named has 1. What is in the mailbox, up to 128
  /// messages, goes as it has come. An inbox for fewer than four messages leaves no tenant a share.
  tenant_weights tenants{};
  /// Whether messages of class confirm wait while an earlier one of their sender's node has failed
  /// and is to be tried again. If not, they pass it until then.
  bool ordered = true;

  friend bool operator==(const inbox_options&, const inbox_options&) = default;
};

/// Returns bad_argument for bounds under which nothing could ever wait.
inline problem check(const inbox_options& how) {
  using field = std::pair<const char*, std::size_t>;
  for (auto& [name, most] :
       {field{"max_messages", how.max_messages}, field{"max_bytes", how.max_bytes}})
    if (most == 0)
      return {errc::bad_argument, std::string{"inbox_options::"} + name
                                    + " is 0, so that nothing could wait for the agent; give 1 or "
                                      "more, or leave it out"};
  constexpr std::uint32_t most_weight = 1'000;
  for (auto& [tenant, weight] : how.tenants)
    if (weight == 0 || weight > most_weight)
      return {errc::bad_argument, "inbox_options::tenants has the weight " + std::to_string(weight)
                                    + " for '" + shortened(tenant) + "'; give 1 to "
                                    + std::to_string(most_weight)};
  return {};
}

/// What waits for all agents of a node. Each may have more while it has less than is free, so that
/// those that are slow leave room for the messages of others; see shares.
class inbox_room {
public:
  explicit inbox_room(std::size_t max_bytes) : max_bytes_(max_bytes) {}

  /// Whether an agent for which `own` bytes wait may have `bytes` more.
  [[nodiscard]] bool has_room(std::size_t own, std::size_t bytes) const {
    auto free = max_bytes_ - std::min(max_bytes_, bytes_);
    return bytes_ == 0 || shares<int>::may_take(own, free, bytes);
  }

  void add(std::size_t bytes) {
    ++messages_;
    bytes_ += bytes;
  }

  void remove(std::size_t messages, std::size_t bytes) {
    messages_ -= messages;
    bytes_ -= bytes;
  }

  [[nodiscard]] std::size_t messages() const {
    return messages_;
  }

  [[nodiscard]] std::size_t bytes() const {
    return bytes_;
  }

private:
  std::size_t max_bytes_;
  std::size_t messages_ = 0;
  std::size_t bytes_ = 0;
};

/// Decides when an agent gets each message. Its mailbox holds few; the agent says so for each
/// quarter of these, once it has taken them out (see link_window). What is more waits here, and
/// goes by its priority (see priority_line); what the mailbox holds is not overtaken any more. So
/// that priorities are worth something with a slow agent, the mailbox holds what that takes out in
/// `held_for`, as measured while it had something to do all the time, and one message at least.
///
/// What waits is bounded. A sender in this process is refused at once: it takes a place before it
/// sends. One behind a link has sent already: its node is told that the inbox is full, and what is
/// on its way by then is still taken, up to `slack` times the bounds, and critical messages up to
/// once more, so that nothing else keeps them out.
///
/// Who carries out `hand` says handed() after it; until then later messages wait, so that they keep
/// their order whatever thread brings them. Steps like any machine. It has no snapshot: messages
/// in memory do not outlive a process. Pekko's ConsumerController has such a window as well, and
/// asks its producer for more at half of it.
template <class Letter>
class agent_inbox {
public:
  /// In the mailbox, at most. One message counts as one, and as one more for each 4 KiB.
  static constexpr std::size_t max_held = 128;
  /// What an agent may need for what is in its mailbox; the most that a message of the highest
  /// priority waits for those before it. Ten times what it costs to hand over the next one.
  static constexpr duration held_for = std::chrono::microseconds{200};
  static constexpr std::size_t bytes_per_unit = 4U << 10U;
  /// A window of a link and what waits for that are more than the default bounds.
  static constexpr std::size_t slack = 4;

  /// The agent gets it. With wants_sign, the agent is to say when it has come so far.
  struct hand {
    Letter what;
    bool wants_sign = false;
  };

  /// There is no room for it.
  struct refuse {
    Letter what;
  };

  /// Its time is over.
  struct expire {
    Letter what;
  };

  /// Those who waited for room may send again.
  struct has_room {};

  using effect = std::variant<hand, refuse, expire, has_room>;
  using effects = std::vector<effect>;

  /// `all` outlives this.
  agent_inbox(const inbox_options& how, inbox_room& all)
    : options_(how), all_(all), messages_(how.max_messages), bytes_(how.max_bytes) {
    held_.link_up();
  }

  agent_inbox(const agent_inbox&) = delete;
  agent_inbox& operator=(const agent_inbox&) = delete;

  ~agent_inbox() {
    all_.remove(waiting(), waiting_bytes());
  }

  // -- messages ------------------------------------------------------------------------

  /// How a message goes that has come.
  struct passage {
    /// The agent may have it; else arrive() follows.
    bool is_open = false;
    /// The agent is to say when it has come so far.
    bool wants_sign = false;
  };

  /// A message of `bytes` has come; `is_taken`: take() has taken it, for so many bytes. This is all
  /// that it costs an agent that keeps up.
  [[nodiscard]] passage pass(std::size_t bytes, bool is_taken) {
    auto waits = is_handing_ && planted_flaw != flaw::handing_overtaken;
    if (waits || is_awaited_ || !held_.has_room())
      return {};
    if (is_taken)
      come(bytes);
    return {true, held_.send(units(bytes))};
  }

  /// Whether take() has to know the size: where little waits each message has room.
  [[nodiscard]] bool wants_size() const {
    return waiting() >= few_messages;
  }

  /// Takes a place for a message that is about to come, and says in arrive() that it was; returns
  /// false if there is none. It is of `bytes`, zero unless it wants_size(). A critical one has the
  /// slack as well, and once more the bounds.
  [[nodiscard]] bool take(std::size_t bytes, const message_turn& of = {}) {
    // Of those on their way none is old enough to give way.
    auto is_full
      = options_.full == when_full::drop_oldest && coming_ > 0
        && (coming_ >= options_.max_messages || coming_bytes_ + bytes > options_.max_bytes);
    if (is_full || !all_.has_room(waiting_bytes(), bytes))
      return false;
    if (options_.full == when_full::drop_oldest) {
      messages_.take_anyway(1);
      bytes_.take_anyway(bytes);
    } else if (of.priority == message_priority::critical) {
      if (!has_slack(bytes, slack + 1))
        return false;
      messages_.take_anyway(1);
      bytes_.take_anyway(bytes);
    } else if (!has_share(of.tenant, bytes, 1, {coming_, coming_bytes_}) || !messages_.take(1)) {
      return false;
    } else if (!bytes_.take(bytes)) {
      messages_.drop(1);
      return false;
    }
    all_.add(bytes);
    ++coming_;
    coming_bytes_ += bytes;
    return true;
  }

  /// A message that does not pass() has come. Returns false if it is refused; then there is an
  /// effect of it as well.
  bool arrive(time_point now, Letter what, std::size_t bytes,
              const std::optional<time_point>& expires_at, bool is_taken, effects& out,
              const message_turn& of = {}) {
    if (is_taken)
      come(bytes);
    if (!is_handing_ && held_.has_room()) {
      is_handing_ = true;
      out.emplace_back(hand{std::move(what), held_.send(units(bytes))});
      return true;
    }
    auto is_critical = of.priority == message_priority::critical;
    auto times = slack + (is_critical ? 1 : 0);
    if (!is_taken
        && (!has_slack(bytes, times) || (!is_critical && !has_share(of.tenant, bytes, slack)))) {
      out.emplace_back(refuse{std::move(what)});
      return planted_flaw == flaw::refused_called_taken;
    }
    if (!busy_since_ && !held_.has_room())
      busy_since_ = now;
    if (!line_)
      line_ = std::make_unique<priority_line<entry>>(options_.tenants);
    line_->push(of, {std::move(what), bytes, expires_at.value_or(time_point::max())});
    enter(bytes);
    while (options_.full == when_full::drop_oldest && line_->size() > 1
           && (is_over() || !all_.has_room(waiting_bytes(), 0)))
      drop_oldest(out);
    hand_on(now, out);
    return true;
  }

  // -- the agent -----------------------------------------------------------------------

  /// It has taken out the messages up to the first of those of which it was to say so.
  void signed_for(time_point now, effects& out) {
    measure(now, held_.received());
    if (planted_flaw == flaw::sign_counted_twice)
      held_.received();
    hand_on(now, out);
    busy_since_ = held_.has_room() ? std::nullopt : std::optional{now};
  }

  /// What was to be handed to it has been.
  void handed(time_point now, effects& out) {
    is_handing_ = false;
    hand_on(now, out);
  }

  /// It has ended, or gets nothing more under this name. Returns what has waited.
  [[nodiscard]] std::vector<Letter> end() {
    std::vector<Letter> result;
    while (line_)
      result.push_back(take_next().what);
    return result;
  }

  // -- those who send ------------------------------------------------------------------

  /// Whether they are to hold back what is of that tenant.
  [[nodiscard]] bool is_full(std::string_view tenant = {}) const {
    return waiting() > 0
           && (waiting() >= options_.max_messages || waiting_bytes() >= options_.max_bytes
               || messages_.refuses_all() || bytes_.refuses_all()
               || !has_share(tenant, 0, 1, {coming_, coming_bytes_}));
  }

  /// Somebody waits for room: has_room follows. Returns false if there is some; then it does not.
  [[nodiscard]] bool await_room() {
    is_awaited_ = is_awaited_ || !is_low();
    return is_awaited_;
  }

  /// What may come before it is full, as far as there is room for it among all.
  [[nodiscard]] inbox_space space() const {
    if (options_.full == when_full::drop_oldest)
      return {};
    return {options_.max_messages - std::min(options_.max_messages, waiting()),
            options_.max_bytes - std::min(options_.max_bytes, waiting_bytes())};
  }

  /// Messages that wait, also those on their way for which a place was taken.
  [[nodiscard]] std::size_t waiting() const {
    return messages_.waiting_bytes();
  }

  [[nodiscard]] std::size_t waiting_bytes() const {
    return bytes_.waiting_bytes();
  }

  /// In the mailbox, as far as it has not said that they are not.
  [[nodiscard]] std::size_t held() const {
    return held_.link_bytes();
  }

private:
  /// That may wait whatever their sizes, as to find out a size costs more than to hand it over.
  static constexpr std::size_t few_messages = 64;

  struct entry {
    Letter what;
    std::size_t bytes = 0;
    time_point expires_at = time_point::max();
  };

  static std::size_t units(std::size_t bytes) {
    return 1 + bytes / bytes_per_unit;
  }

  /// The agent has taken out so many.
  void measure(time_point now, std::size_t taken) {
    if (!busy_since_ || taken == 0)
      return;
    auto each = std::max((now - *busy_since_) / static_cast<duration::rep>(taken), duration{1});
    held_.resize(static_cast<std::size_t>(
      std::clamp<duration::rep>(held_for / each, 1, static_cast<duration::rep>(max_held))));
  }

  /// Up to so many times the bounds.
  [[nodiscard]] bool has_slack(std::size_t bytes, std::size_t times) const {
    if (options_.full == when_full::drop_oldest)
      return true;
    return waiting() == 0
           || (waiting() < multiple(options_.max_messages, times)
               && waiting_bytes() + bytes <= multiple(options_.max_bytes, times)
               && all_.has_room(waiting_bytes(), bytes));
  }

  /// Whether a tenant may have `bytes` more, where so many times the bounds are to wait. What comes
  /// without a tenant has all that there is. Of those on their way it is not known whose they are:
  /// `own` of them may be of that tenant, so that none takes all before anything has come.
  [[nodiscard]] bool has_share(std::string_view tenant, std::size_t bytes, std::size_t times,
                               waiting_amount own = {}) const {
    if (tenant.empty() || waiting() == 0 || options_.full == when_full::drop_oldest
        || planted_flaw == flaw::tenant_takes_all)
      return true;
    auto may_take = [times](std::size_t most, std::size_t used, std::size_t has, std::size_t more) {
      most = multiple(most, times);
      auto free = most - std::min(most, used);
      return free > most / 4 || shares<int>::may_take(has, free, more);
    };
    if (line_) {
      auto here = line_->of(tenant);
      own.messages += here.messages;
      own.bytes += here.bytes;
    }
    return may_take(options_.max_messages, waiting(), own.messages, 1)
           && may_take(options_.max_bytes, waiting_bytes(), own.bytes, bytes);
  }

  /// Any number may be given as a bound.
  static std::size_t multiple(std::size_t most, std::size_t times) {
    return times * std::min(most, std::numeric_limits<std::size_t>::max() / times);
  }

  [[nodiscard]] bool is_over() const {
    return waiting() > options_.max_messages || waiting_bytes() > options_.max_bytes;
  }

  [[nodiscard]] bool is_low() const {
    return waiting() <= options_.max_messages / 2 && waiting_bytes() <= options_.max_bytes / 2;
  }

  void enter(std::size_t bytes) {
    messages_.take_anyway(1);
    bytes_.take_anyway(bytes);
    all_.add(bytes);
  }

  void come(std::size_t bytes) {
    --coming_;
    coming_bytes_ -= bytes;
    leave(bytes);
  }

  void leave(std::size_t bytes) {
    messages_.drop(1);
    bytes_.drop(bytes);
    all_.remove(1, bytes);
  }

  entry take_next() {
    auto result = line_->take_next();
    left(result);
    return result;
  }

  /// One of those that wait has been taken out.
  void left(const entry& what) {
    leave(what.bytes);
    if (line_->empty())
      line_.reset(); // idle agents are many
  }

  void drop_oldest(effects& out) {
    auto has_too_many = waiting() > options_.max_messages;
    auto oldest = line_->take_oldest_of_lowest(has_too_many ? &waiting_amount::messages
                                                            : &waiting_amount::bytes);
    left(oldest);
    out.emplace_back(refuse{std::move(oldest.what)});
  }

  void hand_on(time_point now, effects& out) {
    while (line_ && !is_handing_ && held_.has_room())
      hand_some(now, out);
    if (is_awaited_ && is_low()) {
      is_awaited_ = false;
      out.emplace_back(has_room{});
    }
  }

  /// As much as there is room for.
  void hand_some(time_point now, effects& out) {
    out.reserve(std::min(line_->size(), max_held / 4));
    while (line_ && held_.has_room()) {
      auto next = take_next();
      if (next.expires_at <= now) {
        out.emplace_back(expire{std::move(next.what)});
        continue;
      }
      is_handing_ = true;
      out.emplace_back(hand{std::move(next.what), held_.send(units(next.bytes))});
    }
  }

  inbox_options options_;
  inbox_room& all_;
  waiting_room messages_;
  waiting_room bytes_;
  /// Of those that wait: not here yet.
  std::size_t coming_ = 0;
  std::size_t coming_bytes_ = 0;
  link_window held_{max_held};
  /// The agent has had something to do since then; nothing: it may not have.
  std::optional<time_point> busy_since_{};
  /// Null if it is empty, as it is where there is room and nothing is being handed over.
  std::unique_ptr<priority_line<entry>> line_;
  /// What was handed last is not in the mailbox yet.
  bool is_handing_ = false;
  bool is_awaited_ = false;
};

} // namespace troupe::router
