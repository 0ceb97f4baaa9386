// Requests without waiting: a typed agent that answers later, a program with many open requests,
// and a coroutine that asks one agent after the other.
#include <chrono>
#include <iostream>
#include <string>
#include <thread>
#include <utility>

#include "caf/typed_event_based_actor.hpp"
#include "troupe/await.hpp"
#include "troupe/node/node.hpp"

using namespace std::literals;
using namespace troupe;

// What the kitchen is asked for the price of.
struct order {
  std::string meal;
  int plates = 1;
  TROUPE_FIELDS(order, meal, plates);
};
TROUPE_MESSAGES(orders, order);

// The messages that the agent accepts, and the answer to each: checked by the compiler where the
// agent is made, and by node::find() where it is looked up.
using kitchen = caf::typed_actor<caf::result<std::string>(std::string), caf::result<int>(order)>;

// Answers once the meal is ready. Meanwhile the agent handles other messages.
pending<std::string> cook(const std::string& meal) {
  promise<std::string> made;
  std::thread{[meal, made] {
    if (meal == "snow")
      made.set(problem{errc::not_found, "there is no snow today"});
    else
      made.set("a plate of " + meal);
  }}.detach();
  return made.answer();
}

int price(const order& ordered) {
  return 12 * ordered.plates;
}

// [dine]
// Waiting occupies no thread. Parameters of a coroutine live until its end; objects that they refer
// to must, too.
task<std::string> dine(node& me, std::string meal) {
  auto plate = co_await me.async_request<std::string>(to_agent("kitchen"), 5s, meal);
  if (!plate)
    co_return plate.error();
  order ordered{meal, 1}; // not within the next expression: gcc 12 would destroy it twice
  auto due = co_await me.async_request<int>(to_agent("kitchen"), 5s, ordered);
  co_return *plate + " for " + std::to_string(due.value());
}
// [dine]

int main() {
  init<orders>();
  auto me = node::start({.listen = {"127.0.0.1", 0}}).value();
  me.agent<kitchen>("kitchen", cook, price).value();

  // [ask]
  auto soup = me.async_request<std::string>(to_agent("kitchen"), 5s, "soup"s);
  auto rice = me.async_request<std::string>(to_agent("kitchen"), 5s, "rice"s).future();
  std::cout << rice.get().value() << '\n' << std::move(soup).wait().value() << '\n';
  // [ask]

  for (auto* meal : {"beans", "snow"}) {
    auto dinner = start(dine(me, meal)).wait();
    std::cout << (dinner ? *dinner : to_string(dinner.error())) << '\n';
  }

  using bakery = caf::typed_actor<caf::result<double>(double)>;
  std::cout << name_of(me.find<bakery>("kitchen").error().code) << '\n';
}
