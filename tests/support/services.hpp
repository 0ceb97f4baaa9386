#pragma once

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/scoped_actor.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/caf/node_finder.hpp"
#include "troupe/host/durable_file.hpp"
#include "troupe/host/service_actor.hpp"
#include "troupe/testing/fake_clock.hpp"

namespace troupe::test {

/// Starts a service whose journal is `file`.
template <class Service>
typename Service::handle start_durable(caf::actor_system& sys, const std::filesystem::path& file,
                                       const typename Service::options& options = {}) {
  auto made = host::spawn<Service>(sys, options, host::durable{file});
  if (!made)
    FAIL(to_string(made.error()));
  return *made;
}

/// A fixture for services: their actors and clock move only when the test says so, their
/// files are in a folder of its own. Ends what a failed test left running.
///
/// `Block` is that of the services' type ids, `Services` are those that can be spawned by
/// their names.
template <class Block, class... Services>
class clocked_services {
public:
  temporary_folder folder;
  testing::fake_clock world{[](caf::actor_system_config& how) {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host, Block>();
    (host::add_service<Services>(how), ...);
  }};

  ~clocked_services() {
    for (auto& each : started_)
      world.stop(each);
  }

  template <class Service>
  auto start() {
    return started<typename Service::handle>(*host::spawn<Service>(world.system()));
  }

  /// With the journal that the last one with this name left.
  template <class Service>
  auto start_durable(const std::string& name) {
    return started<typename Service::handle>(
      test::start_durable<Service>(world.system(), folder / name));
  }

  template <class Service>
  auto start(bool on_disk, const std::string& name) {
    return on_disk ? start_durable<Service>(name) : start<Service>();
  }

  /// As another node would do it.
  template <class Handle, class Options>
  Handle start_by_name(const std::string& name, const Options& options = {}) {
    auto made = world.system().template spawn<caf::actor>(
      name, caf::make_message(caf::strong_actor_ptr{}, options));
    if (!made)
      FAIL(to_string(made.error()));
    return started<Handle>(caf::actor_cast<Handle>(*made));
  }

  /// Starts a service on `host`. `nodes` says who is behind a handle.
  template <class Service, class Host>
  auto start_on(Host host, const host::core_options& how = {}, node_finder nodes = {}) {
    return started<typename Service::handle>(
      *host::spawn<Service>(world.system(), {}, std::move(host), how, {}, std::move(nodes)));
  }

  template <class Handle>
  void stop(Handle& which) {
    world.stop(which);
    which = nullptr;
  }

  template <class Handle, class... Ts>
  auto send(const Handle& whom, const Ts&... what) {
    return world.send(whom, what...);
  }

  template <class Request>
  auto receive(Request& request) {
    return world.receive(request);
  }

  /// Commands are refused or done.
  template <class Handle, class... Ts>
  auto ask(const Handle& whom, const Ts&... what) {
    return world.ask(whom, what...);
  }

  /// A question that has an answer.
  template <class Handle, class Question>
  auto look(const Handle& whom, const Question& what) {
    auto answer = world.ask(whom, what);
    if (!answer)
      FAIL(answer.error().detail);
    return *std::move(answer);
  }

  template <class Condition>
  void until(Condition condition) {
    REQUIRE(world.until(condition));
  }

private:
  template <class Handle>
  Handle started(Handle which) {
    started_.push_back(caf::actor_cast<caf::actor>(which));
    return which;
  }

  std::vector<caf::actor> started_;
};

/// A fixture for what blocks and therefore needs real threads and a real clock: clients,
/// workers, routers.
template <class Block>
class live_system {
private:
  struct config : caf::actor_system_config {
    config() {
      init_messages<caf::id_block::troupe_core, caf::id_block::troupe_host, Block>();
      set("caf.scheduler.policy", "sharing");
      set("caf.scheduler.max-threads", 2);
    }
  };

  config config_;

public:
  caf::actor_system sys{config_};
};

/// As above, with one durable service.
template <class Block, class Service>
class live_service : public live_system<Block> {
public:
  ~live_service() {
    stop();
  }

  /// Ends the service and waits until its file is closed.
  void stop() {
    if (!service)
      return;
    caf::scoped_actor self{this->sys};
    self->monitor(service);
    self->send_exit(service, caf::exit_reason::kill);
    self->receive([](const caf::down_msg&) {});
    service = nullptr;
  }

  /// With what the last one left.
  void start() {
    service = start_durable<Service>(this->sys, folder / "journal");
  }

  /// Loses all that the service kept.
  void remove_journal() {
    for (auto* ending : {"", "-wal", "-shm", ".mark"})
      std::filesystem::remove(folder / (std::string{"journal"} + ending));
  }

  temporary_folder folder;
  typename Service::handle service = start_durable<Service>(this->sys, folder / "journal");
};

} // namespace troupe::test
