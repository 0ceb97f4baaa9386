#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "caf/actor_control_block.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/message.hpp"
#include "caf/result.hpp"
#include "troupe/channel/types.hpp"
#include "troupe/core/agent_id.hpp"
#include "troupe/core/caf/run_on.hpp"
#include "troupe/core/caf/to_error.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/time.hpp"
#include "troupe/router/dead_letter.hpp"
#include "troupe/router/dead_letters.hpp"
#include "troupe/router/detail/asker.hpp"
#include "troupe/router/detail/content_text.hpp"
#include "troupe/router/detail/entrance.hpp"
#include "troupe/router/detail/letter_row.hpp"
#include "troupe/router/detail/origin.hpp"
#include "troupe/router/detail/outbox_keeper.hpp"
#include "troupe/router/detail/refusals.hpp"
#include "troupe/router/detail/routes.hpp"
#include "troupe/router/detail/stored_letter.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/types.hpp"

namespace troupe::router::detail {

/// Has the contents of the dead letters of a node, and their rows on its disk. Part of the router's
/// actor, and used on it only.
class dead_desk {
public:
  /// The content of a dead letter.
  struct remains {
    caf::message payload;
    origin from;
    std::size_t bytes = 0;
    /// Why there is none.
    problem unreadable{};
    /// On the disk; zero: none.
    std::uint64_t place = 0;
  };

  /// Takes one that is delivered again, for which there is room.
  using deliverer = std::function<void(agent_id to, remains what)>;

  /// `self` and `shared` outlive this.
  dead_desk(caf::event_based_actor* self, entrance& shared, const router_options& options,
            deliverer deliver)
    : self_(self),
      shared_(shared),
      deliver_(std::move(deliver)),
      letters_(options.max_dead_letters, options.max_dead_letter_bytes) {}

  dead_desk(const dead_desk&) = delete;
  dead_desk& operator=(const dead_desk&) = delete;

  /// Those on the disk are kept by it.
  void keep_with(std::shared_ptr<outbox_keeper> keeper) {
    keeper_ = std::move(keeper);
  }

  void close() {
    keeper_.reset();
  }

  /// Those that give way leave the disk as well.
  void bury(const agent_id& to, stored_end how, remains what) {
    auto info = what.from.info();
    dead_letter made{what.from.said.id,
                     how.reason,
                     std::move(how.why),
                     what.from.where.id,
                     what.from.agent,
                     to,
                     info.type.empty() ? troupe::detail::types_in(what.payload) : info.type,
                     how.ended_at,
                     how.deliveries};
    made.bytes = what.bytes + routes::letter_bytes + what.from.said_bytes() + to.text().size()
                 + made.why.size() + made.type.size();
    for (auto& each : letters_.bury(std::move(made), std::move(what)))
      forget(each);
  }

  /// A message has ended, perhaps one that was delivered again.
  void ended(const message_id& id, bool is_handled) {
    letters_.ended(id, is_handled);
  }

  [[nodiscard]] dead_letter_page list(const list_dead_letters& what) const {
    return letters_.list(what.after, what.limit);
  }

  /// The content of one of them. What is large is refused before it is written, or as soon as that
  /// shows, as this is the thread of all messages.
  [[nodiscard]] caf::result<shown_dead_letter> show(const show_dead_letter& what) const {
    auto id = to_message_id(what.id);
    if (!id)
      return to_error(no_message_id(what.id));
    if (letters_.is_under_way(*id))
      return to_error(redriven_already());
    auto* found = letters_.find(*id);
    if (!found)
      return to_error(no_dead_letter(what.id));
    if (auto& why = found->what.unreadable)
      return to_error(unreadable_to_show(what.id, found->what.from.info().type, why));
    constexpr auto most = show_dead_letter::max_bytes;
    if (found->what.bytes > 5 * most)
      return to_error(too_large_to_show(what.id, found->what.bytes, most));
    auto text = content_text(found->what.payload, most);
    if (!text)
      return to_error(text.error());
    if (text->size() > most)
      return to_error(too_large_to_show(what.id, text->size(), most));
    return shown_dead_letter{*std::move(text)};
  }

  /// Delivers one of them again, or all.
  caf::result<redrive_receipt> redrive(const redrive_dead_letter& what) {
    redrive_receipt made;
    if (what.id.empty()) {
      for (auto& each : letters_.ids()) {
        auto how = redrive(each).code;
        made.redriven += how == errc::none ? 1U : 0U;
        made.refused += how == errc::limit_reached ? 1U : 0U;
        made.unreadable += how == errc::incompatible ? 1U : 0U;
      }
      return made;
    }
    auto id = to_message_id(what.id);
    if (!id)
      return to_error(no_message_id(what.id));
    if (letters_.is_applied(*id)) {
      made.applied_already = 1;
      return made;
    }
    if (auto why = redrive(*id))
      return to_error(std::move(why));
    made.redriven = 1;
    return made;
  }

  /// Lets go of one of them, or of all, and tells whoever asks once all of those have left the
  /// disk.
  void purge(const purge_dead_letters& what, asker by) {
    if (what.id.empty())
      return remove(letters_.ids(), std::move(by));
    auto id = to_message_id(what.id);
    if (!id)
      return tell(std::move(by), no_message_id(what.id));
    if (letters_.is_under_way(*id))
      return tell(std::move(by), redriven_already());
    if (!letters_.find(*id))
      return tell(std::move(by), no_dead_letter(what.id));
    remove({*id}, std::move(by));
  }

  void add_to(router_statistics& sum) const {
    sum.dead_letters = static_cast<std::uint32_t>(letters_.size());
    sum.dead_letters_dropped = letters_.dropped();
  }

private:
  [[nodiscard]] time_point now() const {
    return time_point{self_->clock().now().time_since_epoch()};
  }

  void forget(
    const remains& which, std::function<void()> done = [] {}) {
    if (which.place != 0)
      keeper_->settle(which.place, std::nullopt, std::move(done));
  }

  void remove(const std::vector<message_id>& which, asker by) {
    purge_receipt made{static_cast<std::uint32_t>(which.size())};
    std::vector<remains> kept;
    for (auto& each : which)
      if (auto gone = letters_.remove(each); gone.place != 0)
        kept.push_back(std::move(gone));
    if (kept.empty())
      return tell(std::move(by), caf::make_message(made));
    auto left = std::make_shared<std::size_t>(kept.size());
    auto home = caf::weak_actor_ptr{self_->ctrl()};
    for (auto& each : kept)
      forget(each, [home, this, by, made, left] {
        run_on(home, [this, by, made, left] {
          if (--*left == 0)
            tell(by, caf::make_message(made));
        });
      });
  }

  void tell(asker by, problem why) {
    tell(std::move(by), caf::make_message(to_error(std::move(why))));
  }

  void tell(asker by, caf::message answer) {
    shared_.going_out.tell(self_->ctrl(), std::move(by), std::move(answer), self_->context());
  }

  /// It goes as one that was just accepted, but for its id; one of class once as long as it is
  /// known whether it was applied. One that is on the disk is no dead letter there, either; if that
  /// cannot be written, it is one again after a restart.
  problem redrive(const message_id& id) {
    if (letters_.is_under_way(id))
      return redriven_already();
    auto* found = letters_.find(id);
    if (!found)
      return no_dead_letter(to_string(id));
    if (found->what.unreadable)
      return unreadable_here(to_string(id));
    auto to = found->head.to;
    auto what = found->what;
    auto& said = what.from.said;
    said = said.again(now());
    if (said.life <= duration::zero())
      return too_old_for_once(to_string(id), said.age);
    if (auto why = shared_.confirms.take(to, what.bytes, what.from.client()))
      return why;
    letters_.redrive(id);
    if (what.place != 0)
      keeper_->replace(what.place, to_bytes(to, what.payload, what.from, now(), {}).value(),
                       [](const problem&) {});
    deliver_(std::move(to), std::move(what));
    return {};
  }

  caf::event_based_actor* self_;
  entrance& shared_;
  deliverer deliver_;
  dead_letters<remains> letters_;
  /// Null: none is on a disk.
  std::shared_ptr<outbox_keeper> keeper_;
};

} // namespace troupe::router::detail
