#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "caf/abstract_actor.hpp"
#include "caf/actor.hpp"
#include "caf/actor_control_block.hpp"
#include "caf/actor_system.hpp"
#include "caf/attachable.hpp"
#include "caf/behavior.hpp"
#include "caf/binary_deserializer.hpp"
#include "caf/config.hpp"
#include "caf/deserializer.hpp"
#include "caf/detail/behavior_impl.hpp"
#include "caf/detail/invoke_result_visitor.hpp"
#include "caf/detail/message_data.hpp"
#include "caf/detail/meta_object.hpp"
#include "caf/detail/serialized_size.hpp"
#include "caf/detail/type_id_list_builder.hpp"
#include "caf/error.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/intrusive_ptr.hpp"
#include "caf/logger.hpp"
#include "caf/make_counted.hpp"
#include "caf/message.hpp"
#include "caf/message_id.hpp"
#include "caf/others.hpp"
#include "caf/sec.hpp"
#include "caf/send.hpp"
#include "caf/serializer.hpp"
#include "caf/thread_hook.hpp"
#include "caf/timespan.hpp"
#include "caf/type_id.hpp"
#include "caf/type_id_list.hpp"

#if CAF_MAJOR_VERSION >= 1
#include "caf/anon_mail.hpp"
#include "caf/scheduler.hpp"

#include <span>
#else
#include "caf/byte.hpp"
#include "caf/execution_unit.hpp"
#include "caf/mailbox_element.hpp"
#include "caf/resumable.hpp"
#include "caf/span.hpp"
#endif

/// The only place that depends on the version of CAF: 0.18.7 or 1.x. Asks for CAF_MAJOR_VERSION
/// only; CAF_VERSION expands to an invalid number in 1.x.
namespace troupe::compat {

#if CAF_MAJOR_VERSION >= 1
using byte = std::byte;
template <class T>
using span = std::span<T>;
using execution_context = caf::scheduler;
#else
using byte = caf::byte;
template <class T>
using span = caf::span<T>;
using execution_context = caf::execution_unit;
#endif

/// The context that runs what this thread delivers right now; null outside of `bringing`. See
/// run_on().
inline thread_local execution_context* bringer = nullptr;

/// Sets `bringer` while it lives.
class bringing {
public:
  explicit bringing(execution_context* who) : before_(std::exchange(bringer, who)) {}

  ~bringing() {
    bringer = before_;
  }

  bringing(const bringing&) = delete;
  bringing& operator=(const bringing&) = delete;

private:
  execution_context* before_;
};

/// Threads hold the logger of the actor system that they used last, and the end of that system
/// waits until none does. Lets go of it on this thread.
inline void let_go_of_logger() {
#if CAF_MAJOR_VERSION < 1
  caf::logger::set_current_actor_system(nullptr);
#endif
}

/// Hears of the threads of an actor system, on each of them.
class thread_hook : public caf::thread_hook {
public:
  virtual void started() = 0;

#if CAF_MAJOR_VERSION >= 1
  void thread_started(caf::thread_owner) final {
    started();
  }
#else
  void thread_started() final {
    started();
  }
#endif
};

/// Where an actor near links handles messages that no link has delivered.
enum class elsewhere : std::uint8_t {
  /// On the scheduler.
  by_scheduler,
  /// By the links as well, once they have delivered something: for actors that send almost
  /// everything over links, so that only the thread that writes to the links must be woken.
  by_links,
};

#if CAF_MAJOR_VERSION >= 1
template <class Base, elsewhere = elsewhere::by_scheduler>
using near_links = Base;
#else
/// An actor that handles messages from links in the thread that reads them, after all that arrived
/// together, as brokers do: no other thread must be woken. For actors whose steps take microseconds
/// and never block, because all links wait meanwhile. If its state wants_time(), its next message
/// is left to a thread of the scheduler.
template <class Base, elsewhere Others = elsewhere::by_scheduler>
class near_links : public Base {
public:
  using Base::Base;

  bool enqueue(caf::mailbox_element_ptr what, caf::execution_unit* context) override {
    if constexpr (Others == elsewhere::by_links) {
      note_links(context);
      if (auto* links = links_.load())
        context = links;
    }
    auto before = std::exchange(is_given_work, true);
    auto taken = Base::enqueue(std::move(what), context);
    is_given_work = before;
    return taken;
  }

  /// Tells the multiplexer which actors it runs itself.
  [[nodiscard]] caf::resumable::subtype_t subtype() const override {
    return is_given_work ? caf::resumable::io_actor : Base::subtype();
  }

  caf::resumable::resume_result resume(caf::execution_unit* context, std::size_t most) override {
    most = std::min(most, most_at_once); // then links get their turn
    if constexpr (requires(const Base& self) { self.state.wants_time(); }) {
      while (most-- > 0) {
        auto found = Base::resume(context, 1);
        if (found != caf::resumable::resume_later)
          return found;
        if (this->state.wants_time())
          return go_elsewhere();
      }
      return caf::resumable::resume_later;
    } else {
      return Base::resume(context, most);
    }
  }

protected:
  /// Call it with the context of each message that enqueue() does not get.
  void note_links(caf::execution_unit* context) {
    if (context != nullptr && context->proxy_registry_ptr() != nullptr && links_.load() != context)
      links_ = context;
  }

private:
  /// To its current thread, the actor seems to wait for a message.
  caf::resumable::resume_result go_elsewhere() {
    caf::intrusive_ptr_add_ref(this->ctrl());
    this->home_system().scheduler().enqueue(this);
    return caf::resumable::awaiting_message;
  }

  static constexpr std::size_t most_at_once = 256;
  static inline thread_local bool is_given_work = false;
  std::atomic<caf::execution_unit*> links_ = nullptr;
};
#endif

/// Returns whether that actor has ended. Of one in another process: whether this process knows of
/// its end, as of that of its link.
inline bool has_ended(const caf::strong_actor_ptr& who) {
  return who->get()->getf(caf::abstract_actor::is_terminated_flag);
}

/// In CAF 0.18.7 the mailbox of a broker stays open when that has ended. What it has sent to itself
/// and gets there later, such as the call for its next heartbeat, keeps it for ever. Has it closed
/// when `broker` ends. Thread-safe; more calls do no harm.
inline void close_mailbox_at_end(const caf::actor& broker) {
#if CAF_MAJOR_VERSION < 1
  auto* it = static_cast<caf::scheduled_actor*>(caf::actor_cast<caf::abstract_actor*>(broker));
  it->attach_functor([it] { it->caf::scheduled_actor::cleanup({}, nullptr); });
#endif
}

/// Sends `what` without a sender.
template <class Handle, class... Ts>
void anon_send(const Handle& receiver, Ts&&... what) {
#if CAF_MAJOR_VERSION >= 1
  caf::anon_mail(std::forward<Ts>(what)...).send(receiver);
#else
  caf::anon_send(receiver, std::forward<Ts>(what)...);
#endif
}

/// Takes the answer to a request, of any types; an error arrives as a message that holds it.
template <class Take>
class any_answer final : public caf::detail::behavior_impl {
public:
  explicit any_answer(Take take) : take_(std::move(take)) {}

  bool invoke(caf::detail::invoke_result_visitor& visitor, caf::message& what) override {
    take_(what);
    caf::message nothing; // without a result CAF would call again, with unexpected_response
    visitor(nothing);
    return true;
  }

private:
  Take take_;
};

/// Calls `take` with the answer to request `id` of `self`, or with the error that ends it.
template <class Self, class Take>
void when_answered(Self* self, caf::message_id id, Take take) {
  caf::behavior handler;
  handler.assign(caf::intrusive_ptr<caf::detail::behavior_impl>{
    caf::make_counted<any_answer<Take>>(std::move(take))});
  self->add_multiplexed_response_handler(id.response_id(), std::move(handler));
}

/// Sends `what`, a ready message, as a request of `self` without a time-out; calls `take` with the
/// answer. Returns the id for withdraw().
template <class Self, class Take>
caf::message_id ask(Self* self, const caf::strong_actor_ptr& receiver, caf::message what,
                    Take take) {
  auto id = self->new_request_id(caf::message_priority::normal);
  when_answered(self, id, std::move(take));
  receiver->enqueue(self->ctrl(), id, std::move(what), self->context());
  return id.response_id();
}

/// The same with a time-out; calls `done` with the answer, a message of any types, or `failed` with
/// an error.
template <class Self, class Done, class Failed>
void relay(Self* self, const caf::strong_actor_ptr& receiver, caf::timespan timeout,
           caf::message what, Done done, Failed failed) {
  auto id = self->new_request_id(caf::message_priority::normal);
  auto alarm = self->request_response_timeout(timeout, id);
  when_answered(self, id, [alarm, done, failed](caf::message& answer) mutable {
    alarm.dispose();
    if (answer.match_elements<caf::error>())
      failed(std::move(answer.get_mutable_as<caf::error>(0)));
    else
      done(std::move(answer));
  });
  receiver->enqueue(self->ctrl(), id, std::move(what), self->context());
}

/// While this lives, the loss of the link to a `receiver` in another process ends the wait of
/// `self` for that answer, with broken_promise. Without it CAF waits for the time-out.
class link_watch {
public:
  link_watch(caf::actor_control_block* self, const caf::actor& receiver, caf::message_id answer)
    : receiver_(receiver && receiver.node() != self->node() ? receiver : caf::actor{}) {
    if (receiver_)
      receiver_->attach(std::make_unique<bell>(this, self, answer));
  }

  ~link_watch() {
    if (receiver_)
      receiver_->detach(caf::attachable::token{bell_type, this});
  }

  link_watch(const link_watch&) = delete;
  link_watch& operator=(const link_watch&) = delete;

private:
  static constexpr std::size_t bell_type = 100; // CAF has smaller ones

  struct bell final : caf::attachable {
    bell(const link_watch* by, caf::actor_control_block* to, caf::message_id what)
      : watch(by), self(to), answer(what) {}

    bool matches(const token& what) override {
      return what.subtype == bell_type && what.ptr == watch;
    }

    void actor_exited(const caf::error&, execution_context*) override {
      if (auto to = self.lock())
        to->enqueue(nullptr, answer, caf::make_message(make_error(caf::sec::broken_promise)),
                    nullptr);
    }

    const link_watch* watch;
    caf::weak_actor_ptr self;
    caf::message_id answer;
  };

  caf::actor receiver_;
};

/// As relay() for a blocking actor, `self`: waits for the answer or the error.
template <class Self, class Done, class Failed>
void ask_and_wait(Self& self, const caf::actor& receiver, caf::timespan timeout,
                  const caf::message& what, Done done, Failed failed) {
  auto asked = self->request(receiver, timeout, what);
  link_watch watch{self->ctrl(), receiver, asked.id()};
  auto alarm = asked.policy().pending_timeouts(); // a catch-all does not cancel it
  asked.receive([&failed](const caf::error& why) { failed(why); },
                caf::others >> [&done](caf::message& answer) -> caf::skippable_result {
                  done(answer);
                  return caf::message{};
                });
  alarm.dispose();
}

/// What a behavior has made of a message.
struct handled {
  /// False: none of its functions takes it.
  bool is_taken = false;
  /// Its answer, or an error alone; nothing if it is answered later.
  std::optional<caf::message> answer{};
};

/// Has `functions` handle `what` within the handler of another message.
inline handled call(caf::behavior& functions, caf::message& what) {
  class keeper final : public caf::detail::invoke_result_visitor {
  public:
    using caf::detail::invoke_result_visitor::operator();

    void operator()(caf::error& why) override {
      answer = caf::make_message(std::move(why));
    }

    void operator()(caf::message& made) override {
      answer = std::move(made);
    }

    std::optional<caf::message> answer;
  };
  keeper kept;
  auto is_taken = functions(kept, what);
  return {is_taken, std::move(kept.answer)};
}

/// Counts the bytes of a value in CAF's binary form.
using size_counter = caf::detail::serialized_size_inspector;

/// Returns how many bytes `what` takes when sent to another node; nothing if it cannot be written.
inline std::optional<std::size_t> size_of(caf::actor_system& sys, const caf::message& what) {
  size_counter sink{sys};
  return sink.apply(what) ? std::optional{sink.result} : std::nullopt;
}

/// Writes element `index` of `what` to `sink`; returns false if that refuses it.
inline bool save_element(const caf::message& what, std::size_t index, caf::serializer& sink) {
  auto type = what.types()[index];
  return caf::detail::global_meta_objects()[type].save(sink, what.cdata().at(index));
}

/// Returns how many bytes an element of that type, which is registered, takes in a message.
inline std::size_t bytes_in_memory(caf::type_id_t type) {
  return caf::detail::global_meta_objects()[type].padded_size;
}

/// Returns a message of those types, each of which is registered, with values that
/// `load(index, read)` reads by a call of `read(caf::deserializer&)`; nothing if one returns false.
template <class Load>
std::optional<caf::message> load_elements(const std::vector<caf::type_id_t>& types, Load load) {
  if (types.empty())
    return caf::message{};
  caf::detail::type_id_list_builder list;
  for (auto each : types)
    list.push_back(each);
  auto made = caf::detail::message_data::make_uninitialized(list.move_to_list());
  auto* place = made->storage();
  for (std::size_t index = 0; index < types.size(); ++index) {
    auto& its = caf::detail::global_meta_objects()[types[index]];
    its.default_construct(place);
    made->inc_constructed_elements();
    if (!load(index, [&](caf::deserializer& from) { return its.load(from, place); }))
      return std::nullopt;
    place += its.padded_size;
  }
  return caf::message{caf::message::data_ptr{made.release(), false}};
}

/// Does what `into.load(from)` does. CAF makes a list of the types of each message that it reads
/// and looks for an equal one; here the list is that of the message before, if that had this one
/// type as well.
inline bool load(caf::binary_deserializer& from, caf::message& into) {
  constexpr std::size_t front_bytes = 1 + sizeof(caf::type_id_t); // how many types, and which
  thread_local caf::type_id_list last{nullptr};
  auto rest = from.remainder();
  auto is_one = rest.size() >= front_bytes && static_cast<unsigned>(rest[0]) == 1;
  if (is_one && last.data() != nullptr
      && (static_cast<unsigned>(rest[1]) << 8U | static_cast<unsigned>(rest[2])) == last[0]) {
    from.skip(front_bytes);
    auto made = caf::detail::message_data::make_uninitialized(last);
    auto& its = caf::detail::global_meta_objects()[last[0]];
    its.default_construct(made->storage());
    made->inc_constructed_elements();
    if (!its.load_binary(from, made->storage()))
      return false;
    into = caf::message{caf::message::data_ptr{made.release(), false}};
    return true;
  }
  auto is_read = into.load(from);
  if (is_read && is_one)
    last = into.types();
  return is_read;
}

/// Ends the wait of `self` for the answer to a request, as a time-out of the request does: its
/// handler gets request_timeout next. Unlike a time-out it costs no timer.
template <class Self>
void withdraw(Self* self, caf::message_id response) {
#if CAF_MAJOR_VERSION >= 1
  self->enqueue(caf::make_mailbox_element(nullptr, response, make_error(caf::sec::request_timeout)),
                self->context());
#else
  self->enqueue(
    caf::make_mailbox_element(nullptr, response, {}, make_error(caf::sec::request_timeout)),
    self->context());
#endif
}

/// A request that every event-based actor answers by itself, in the order of its mailbox.
inline caf::message ping() {
  return caf::make_message(caf::sys_atom_v, caf::get_atom_v, std::string{"info"});
}

inline bool is_ping(const caf::message& what) {
  return what.match_elements<caf::sys_atom, caf::get_atom, std::string>();
}

} // namespace troupe::compat
