// Disks that get full under real processes, and have space again.

#include "three_voters.hpp"

#include <catch2/catch_template_test_macros.hpp>

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <string>

#include <sys/resource.h>
#include <unistd.h>

using namespace troupe::test;
using troupe::testing::child_process;

namespace {

/// A file system that only the processes started in it see. Outlives them.
class small_disk {
public:
  explicit small_disk(const std::string& size = "4m") {
    words command{"/usr/bin/unshare", "--mount"};
    if (::geteuid() != 0)
      command.insert(command.end(), {"--user", "--map-root-user"});
    command.insert(command.end(), {"/bin/sh", "-c",
                                   "mount -t tmpfs -o size=\"$1\" tmpfs \"$0\" && echo mounted "
                                   "&& exec sleep 600",
                                   folder_ / "", size});
    holder_ = std::make_unique<child_process>(command);
    if (holder_->read_line() != "mounted")
      SKIP("this machine does not let us mount a file system");
  }

  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_ / name;
  }

  /// The command that runs `program` where the disk is.
  [[nodiscard]] words inside(words program) const {
    words result{"/usr/bin/nsenter", "--mount", "--target", std::to_string(holder_->pid())};
    if (::geteuid() != 0)
      result.insert(result.end(), {"--user", "--preserve-credentials"});
    result.insert(result.end(), program.begin(), program.end());
    return result;
  }

  /// Leaves no byte.
  void fill(const child_process&) {
    std::ofstream ballast{seen_from_here("ballast"), std::ios::binary | std::ios::app};
    while (ballast.write(std::string(4'096, 'b').data(), 4'096).flush()) {
    }
    REQUIRE(std::filesystem::space(seen_from_here("")).available == 0);
  }

  void make_space(const child_process&) {
    std::filesystem::remove(seen_from_here("ballast"));
  }

  /// How the next process finds it.
  static constexpr bool stays_full = true;

private:
  [[nodiscard]] std::filesystem::path seen_from_here(const std::string& name) const {
    return "/proc/" + std::to_string(holder_->pid()) + "/root" + path(name).string();
  }

  temporary_folder folder_;
  std::unique_ptr<child_process> holder_;
};

/// A limit of the process in place of a full disk (setrlimit(2), RLIMIT_FSIZE): another error,
/// and a signal.
class limited_files {
public:
  [[nodiscard]] std::filesystem::path path(const std::string& name) const {
    return folder_ / name;
  }

  [[nodiscard]] static words inside(words program) {
    return program;
  }

  void fill(const child_process& who) {
    limit(who, 8'192); // files are longer already
  }

  void make_space(const child_process& who) {
    limit(who, RLIM_INFINITY);
  }

  static constexpr bool stays_full = false;

private:
  static void limit(const child_process& who, rlim_t bytes) {
    rlimit now{};
    REQUIRE(::prlimit(who.pid(), RLIMIT_FSIZE, nullptr, &now) == 0);
    now.rlim_cur = std::min(bytes, now.rlim_max);
    REQUIRE(::prlimit(who.pid(), RLIMIT_FSIZE, &now, nullptr) == 0);
  }

  temporary_folder folder_;
};

/// Hears what a scarce_disk_program says and holds it to that.
class witness {
public:
  /// Starts it in the next of its lives.
  template <class Disk>
  void start(const Disk& disk) {
    process_ = std::make_unique<child_process>(
      disk.inside({TROUPE_BIN_DIR "/scarce_disk_program", disk.path("locks")}));
    std::map<std::string, std::string> there;
    auto line = next();
    for (; line.word == "there"; line = next())
      there[line.name] = line.rest;
    REQUIRE(line.word == "ready");
    // It may know of one more: killed before it could say so.
    for (auto& [name, token] : held_)
      CHECK(there[name] == token);
    CHECK(there.size() <= held_.size() + 1);
    held_ = there;
  }

  [[nodiscard]] const child_process& process() const {
    return *process_;
  }

  void acquires(std::size_t count) {
    take_until([&, enough = held_.size() + count] { return held_.size() >= enough; });
  }

  void is_refused(std::size_t times) {
    take_until([&, enough = refusals_ + times] { return refusals_ >= enough; });
  }

  void kill() {
    process_->send_signal(SIGKILL);
    process_->wait_for_end();
    while (auto line = process_->read_line()) // what it had said before we listened
      if (auto late = parse(*line); late.word == "held")
        held_[late.name] = late.rest;
  }

private:
  struct said {
    std::string word;
    std::string name;
    std::string rest;
  };

  said next() {
    auto line = process_->read_line();
    if (!line)
      FAIL("it said nothing more, and ended with "
           << process_->wait_for_end(std::chrono::seconds{1}).value_or(0));
    return parse(*line);
  }

  static said parse(const std::string& line) {
    said result;
    std::istringstream words{line};
    words >> result.word >> result.name >> std::ws;
    std::getline(words, result.rest);
    return result;
  }

  template <class Condition>
  void take_until(Condition condition) {
    for (int lines = 0; !condition(); ++lines) {
      REQUIRE(lines < 5'000); // else it goes on for ever as if nothing were
      take(next());
    }
  }

  void take(const said& line) {
    INFO(line.word << ' ' << line.name << ' ' << line.rest);
    if (line.word == "held") {
      held_[line.name] = line.rest;
      return;
    }
    REQUIRE(line.word == "refused");
    CHECK(line.rest.starts_with("storage_full "));
    CHECK(line.rest.find("make space") != std::string::npos);
    CHECK_FALSE(held_.contains(line.name));
    ++refusals_;
    CHECK(next().word == "free");
  }

  std::unique_ptr<child_process> process_;
  std::map<std::string, std::string> held_;
  std::size_t refusals_ = 0;
};

} // namespace

TEMPLATE_TEST_CASE("a durable service outlives a full disk", "[cluster][host]", small_disk,
                   limited_files) {
  TestType disk;
  witness locks;
  locks.start(disk);
  locks.acquires(20);
  disk.fill(locks.process());
  locks.is_refused(2);
  disk.make_space(locks.process());
  locks.acquires(20);
  disk.fill(locks.process());
  locks.is_refused(1);
  locks.kill();
  locks.start(disk); // it starts on a full disk, too
  if (TestType::stays_full)
    locks.is_refused(1);
  disk.make_space(locks.process());
  locks.acquires(5);
  locks.kill();
  locks.start(disk);
}

TEST_CASE("a node on a full disk answers what it can and refuses the rest", "[cluster][cli]") {
  need_command();
  insecure_cluster no_certificates;
  small_disk disk;
  temporary_folder folder;
  write_file(folder / "diamond.json", diamond(1));
  auto start_node = [&](const std::string& name) {
    return child_process{
      disk.inside(command_line({"node", "--json", "--name", name, "--slots", "4", "--listen",
                                "127.0.0.1:0", "--data", disk.path(name)}))};
  };
  std::string at;
  auto asked = [&](words what) {
    what.insert(what.end(), {"--at", at});
    return run(what);
  };
  auto is_refused = [](const outcome& done) {
    INFO(done);
    CHECK(done.status != 0);
    CHECK(done.says("error: "));
    CHECK(done.says("make space"));
  };
  std::optional<running_node> node{start_node("n1")};
  at = node->address();
  REQUIRE(asked({"put", "colour", "blue"}).status == 0);

  disk.fill(node->process());
  for (int times = 0; times < 2; ++times) {
    is_refused(asked({"put", "colour", "red"}));
    is_refused(asked({"submit", folder / "diamond.json"}));
    is_refused(run({"lock", "press", "--at", at, "--", "true"}));
    CHECK(asked({"get", "colour"}).output == "blue\n");
    CHECK(asked({"status"}).says("1 member"));
    CHECK(asked({"locks"}).status == 0);
  }
  auto other = start_node("n2");
  auto no_place = finish(other);
  INFO(no_place);
  CHECK(no_place.status == 1);
  CHECK(no_place.says("no space left"));

  disk.make_space(node->process());
  CHECK(comes_true([&] { return asked({"put", "colour", "green"}).status == 0; }));
  CHECK(run({"lock", "press", "--at", at, "--", "true"}).status == 0);
  auto done = asked({"submit", folder / "diamond.json", "--time-scale", "0.01"});
  INFO(done);
  CHECK(done.status == 0);

  disk.fill(node->process());
  is_refused(asked({"put", "colour", "red"}));
  node->kill();
  // It has said in its log when that began and when it was over.
  auto log = node->process().read_rest();
  INFO(log);
  auto topic = "n1: writes nothing new to its data folder"s;
  auto first = log.find(topic);
  REQUIRE(first != std::string::npos);
  auto over = log.find("n1: over: writes nothing new to its data folder", first);
  REQUIRE(over != std::string::npos);
  CHECK(log.find(topic, over) != std::string::npos);
  auto too_early = start_node("n1");
  auto refused = finish(too_early);
  INFO(refused);
  CHECK(refused.status == 1);
  CHECK(refused.says("no space left"));
  disk.make_space(too_early);
  node.emplace(start_node("n1"));
  at = node->address();
  CHECK(asked({"get", "colour"}).output == "green\n");
}

namespace {

/// Three voters, of which n0 has its data folder on a small disk, and what they have acknowledged.
class tight_voters {
  insecure_cluster no_certificates_;

public:
  /// Room for what a voter has, and more.
  small_disk disk{"24m"};
  three_voters cluster{
    [this](int index) { return index == 0 ? disk.inside({}) : words{}; },
    [this](int index) { return index == 0 ? disk.path("n0") : std::filesystem::path{}; }};

  void fill() {
    disk.fill(cluster[0].process());
  }

  void make_space() {
    disk.make_space(cluster[0].process());
  }

  void let_lead(int index) {
    auto& name = names_[static_cast<std::size_t>(index)];
    REQUIRE(comes_true([&] {
      return seat(index).value("leads", false)
             || run({"voters", "lead", name, "--at", cluster.addresses(), "--timeout", "3"}).status
                  == 0;
    }));
  }

  /// Puts another key at these addresses. What is refused is not there for sure, or may be.
  outcome put(const std::string& addresses) {
    auto key = "key-" + std::to_string(next_++);
    auto value = key + std::string(100'000, '.'); // the log grows on the disk
    auto done = run({"put", key, value, "--at", addresses});
    if (done.status == 0)
      acknowledged_[key] = value;
    return done;
  }

  outcome put() {
    return put(cluster.addresses());
  }

  /// What the leader says of a voter; empty while nobody leads.
  json seat(int index) {
    auto seen = cluster.voters();
    for (auto& each : seen.value("voters", json::array()))
      if (each["node"] == three_voters::name(index))
        return each;
    return json::object();
  }

  /// Whether n0 lacks entries that the others have: null where it has acknowledged none to who
  /// leads now.
  bool is_behind() {
    auto seen = seat(0);
    return seen.contains("lag") && (seen["lag"].is_null() || seen["lag"] > 0);
  }

  /// Whether the log of n0 says this, after what was asked for before.
  bool is_logged(const std::string& what) {
    while (auto line = cluster[0].process().read_line(0ms))
      log_ += *line + '\n';
    auto place = log_.find(what);
    if (place == std::string::npos)
      return false;
    log_.erase(0, place + what.size());
    return true;
  }

  void must_have_all(const std::string& address) {
    for (auto& [key, value] : acknowledged_) {
      CAPTURE(key);
      CHECK(run({"get", key, "--at", address}).output == value + '\n');
    }
  }

private:
  std::map<std::string, std::string> acknowledged_;
  std::vector<std::string> names_{three_voters::name(0), three_voters::name(1),
                                  three_voters::name(2)};
  std::string log_;
  int next_ = 0;
};

const auto writes_nothing = "n0: writes nothing new to its data folder"s;
const auto writes_again = "n0: over: writes nothing new to its data folder"s;

} // namespace

TEST_CASE("a leader on a full disk steps down, and the others go on without it", "[cluster][cli]") {
  need_command();
  tight_voters voters;
  auto& cluster = voters.cluster;
  voters.let_lead(0);
  REQUIRE(voters.put().status == 0);

  voters.fill();
  REQUIRE(comes_true([&] { // once its log has to grow
    auto done = voters.put();
    INFO(done);
    REQUIRE(done.status == 0); // whoever leads then
    return voters.is_logged(writes_nothing);
  }));
  CHECK(comes_true(
    [&] { return voters.is_logged("n0: leads the cluster no more: the disk refuses to write"); }));
  auto leads = cluster.leader(0);
  for (auto each = 0; each < 5; ++each) {
    CHECK(voters.put().status == 0);
    CHECK(voters.put(cluster[0].address()).status == 0); // which says who leads
  }
  CHECK(voters.is_behind());
  CHECK(voters.seat(leads).value("leads", false));
  voters.must_have_all(cluster[0].address());

  voters.make_space();
  CHECK(comes_true([&] { return cluster.is_whole(); }));
  CHECK(comes_true([&] { return voters.is_logged(writes_again); }));
  cluster[leads].kill(); // what is there now is on the disk of n0
  voters.must_have_all(cluster[0].address());
  CHECK(voters.put().status == 0);
}

TEST_CASE("a follower on a full disk falls behind, and catches up once there is space",
          "[cluster][cli]") {
  need_command();
  tight_voters voters;
  auto& cluster = voters.cluster;
  voters.let_lead(1);
  REQUIRE(voters.put().status == 0);
  for (auto is_killed : {false, true}) {
    CAPTURE(is_killed);
    voters.fill();
    REQUIRE(comes_true([&] { // once its log has to grow
      auto done = voters.put();
      INFO(done);
      REQUIRE(done.status == 0);
      return voters.is_logged(writes_nothing);
    }));
    for (auto each = 0; each < 5; ++each)
      CHECK(voters.put(cluster[0].address()).status == 0);
    CHECK(voters.is_behind());
    CHECK(voters.seat(1).value("leads", false));
    if (is_killed)
      cluster[0].kill();
    voters.make_space();
    if (is_killed)
      cluster.start_node(0);
    CHECK(comes_true([&] { return cluster.is_whole(); }));
    if (!is_killed)
      CHECK(comes_true([&] { return voters.is_logged(writes_again); }));
  }
  cluster[1].kill(); // what is there now is on the disk of n0
  voters.must_have_all(cluster[0].address());
  CHECK(voters.put().status == 0);
}
