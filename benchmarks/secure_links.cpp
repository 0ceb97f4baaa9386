// What does encryption cost a link?
//
// Usage: secure_links [MESSAGES]; prints a JSON line each for plain links and for TLS, which take
// turns, and one with the ratios of the medians. Two actor systems in one process, linked over
// loopback; "fires" are messages on a handle, at most 4 MiB of them unanswered. Nothing is pinned.
// A message that does not arrive ends it with an error and status 1.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include <stdlib.h>

#include "caf/actor_system.hpp"
#include "caf/actor_system_config.hpp"
#include "caf/event_based_actor.hpp"
#include "caf/io/middleman.hpp"
#include "caf/scoped_actor.hpp"
#include "caf/send.hpp"
#include "troupe/core/caf/init.hpp"
#include "troupe/core/messages.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"

using namespace std::literals;
using namespace troupe;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::size_t small_bytes = 64;
constexpr std::size_t large_bytes = 65'536;

[[noreturn]] void fail(const std::string& why) {
  std::cerr << "error: " << why << std::endl;
  std::_Exit(1); // without a wait for threads
}

struct config : caf::actor_system_config {
  config() {
    init_messages<caf::id_block::troupe_core, caf::id_block::troupe_net>();
    caf::io::middleman::init_global_meta_objects();
    net::configure_links(*this);
    set("caf.scheduler.max-threads", 1);
  }
};

/// Counts texts; a number asks how many have come.
caf::behavior counter() {
  auto seen = std::make_shared<std::uint64_t>(0);
  return {
    [seen](const std::string&) { ++*seen; },
    [seen](std::uint64_t) { return *seen; },
  };
}

/// One end of a link.
class process {
public:
  explicit process(net::credentials_ptr credentials) : entry_(sys_.spawn(counter)) {
    net::hello self;
    self.node = credentials ? credentials->self().node : random_id<node_id>();
    self.cluster.bytes.back() = std::byte{1};
    self.boot = 1;
    net::link_options how;
    how.insecure = !credentials;
    auto made = net::gate::start(sys_, self, caf::actor_cast<caf::strong_actor_ptr>(entry_), {},
                                 how, {std::move(credentials)});
    if (!made)
      fail(made.error().detail);
    gate_ = *std::move(made);
  }

  ~process() {
    gate_->stop();
    caf::anon_send_exit(std::exchange(entry_, nullptr), caf::exit_reason::kill);
  }

  net::endpoint listen() {
    auto here = net::resolve({"127.0.0.1", 0}).value().front();
    return here.with_port(gate_->listen(here).value());
  }

  net::link_ptr dial(const net::endpoint& where) {
    std::promise<result<net::link_ptr>> done;
    gate_->dial({where}, {}, [&](result<net::link_ptr> got) { done.set_value(std::move(got)); });
    auto got = done.get_future().get();
    if (!got)
      fail(got.error().detail);
    return *got;
  }

  caf::actor_system& system() {
    return sys_;
  }

private:
  config cfg_;
  caf::actor_system sys_{cfg_};
  caf::actor entry_;
  std::unique_ptr<net::gate> gate_;
};

std::uint64_t ask(caf::scoped_actor& self, const caf::actor& whom) {
  std::uint64_t answer = 0;
  self->request(whom, 60s, std::uint64_t{0})
    .receive([&](std::uint64_t number) { answer = number; },
             [](const caf::error& why) { fail("a request: " + to_string(why)); });
  return answer;
}

double median(std::vector<double> all) {
  std::ranges::sort(all);
  return all[all.size() / 2];
}

double seconds_since(steady::time_point start) {
  return std::chrono::duration<double>(steady::now() - start).count();
}

struct figures {
  std::vector<double> link_up_ms;
  std::vector<double> request_p50_us;
  std::vector<double> small_per_s;
  std::vector<double> large_per_s;
};

double fires_per_s(caf::scoped_actor& self, const caf::actor& to, std::size_t bytes,
                   std::uint64_t messages) {
  const std::string text(bytes, 'x');
  auto window = std::min<std::uint64_t>((4U << 20U) / (bytes + 100), messages);
  auto before = ask(self, to);
  auto start = steady::now();
  for (std::uint64_t sent = 0; sent < messages;) {
    for (auto end = std::min(sent + window, messages); sent < end; ++sent)
      self->send(to, text);
    ask(self, to);
  }
  if (auto arrived = ask(self, to) - before; arrived != messages)
    fail(std::to_string(arrived) + " of " + std::to_string(messages) + " messages arrived");
  return static_cast<double>(messages) / seconds_since(start);
}

void run(figures& all, const net::credentials_ptr& ann_is, const net::credentials_ptr& bob_is,
         std::uint64_t messages) {
  process ann{ann_is};
  process bob{bob_is};
  auto where = ann.listen();
  auto start = steady::now();
  auto link = bob.dial(where);
  all.link_up_ms.push_back(seconds_since(start) * 1e3);
  caf::scoped_actor self{bob.system()};
  auto to = caf::actor_cast<caf::actor>(link->entry_point());
  std::vector<double> spans;
  for (auto rounds = std::max<std::uint64_t>(messages / 50, 10); rounds > 0; --rounds) {
    auto sent = steady::now();
    ask(self, to);
    spans.push_back(seconds_since(sent) * 1e6);
  }
  all.request_p50_us.push_back(median(std::move(spans)));
  all.small_per_s.push_back(fires_per_s(self, to, small_bytes, messages));
  all.large_per_s.push_back(
    fires_per_s(self, to, large_bytes, std::max<std::uint64_t>(messages / 50, 10)));
}

nlohmann::ordered_json to_json(const char* kind, const figures& what) {
  return {{"links", kind},
          {"link_up_ms", median(what.link_up_ms)},
          {"request_p50_us", median(what.request_p50_us)},
          {"fires_64_per_s", median(what.small_per_s)},
          {"fires_64k_per_s", median(what.large_per_s)},
          {"runs", what.link_up_ms.size()}};
}

net::credentials_ptr issue(const security::authority& ca, const std::string& name) {
  auto key = security::key_pair::make();
  auto now = read_calendar();
  auto issued
    = ca.issue(key.public_half(), {name, security::role::member, security::rights::use}, now);
  return security::credentials::make(std::move(key), issued.value(), ca.own(), now).value();
}

} // namespace

int main(int argc, char** argv) {
  auto messages = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 200'000;
  if (messages == 0) {
    std::cerr << "error: '" << argv[1] << "' is no number of messages above zero" << std::endl;
    return 2;
  }
  auto folder = (std::filesystem::temp_directory_path() / "troupe-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)
    fail("no temporary folder");
  auto ca = security::authority::make(folder + "/ca", read_calendar());
  std::filesystem::remove_all(folder);
  auto ann = issue(ca.value(), "ann");
  auto bob = issue(ca.value(), "bob");
  figures plain;
  figures tls;
  constexpr auto runs = 5;
  for (auto each = 0; each < runs; ++each) {
    run(plain, nullptr, nullptr, messages);
    run(tls, ann, bob, messages);
  }
  auto ratio = [](const std::vector<double>& over, const std::vector<double>& under) {
    return median(over) / median(under);
  };
  std::cout << to_json("plain", plain) << '\n'
            << to_json("tls", tls) << '\n'
            << nlohmann::ordered_json{{"tls_to_plain",
                                       {{"request_p50",
                                         ratio(tls.request_p50_us, plain.request_p50_us)},
                                        {"fires_64", ratio(tls.small_per_s, plain.small_per_s)},
                                        {"fires_64k", ratio(tls.large_per_s, plain.large_per_s)}}}}
            << std::endl;
}
