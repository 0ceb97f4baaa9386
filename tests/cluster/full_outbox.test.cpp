// A disk that gets full under a node, as its log tells of messages that it is to keep.

#include "troupe_command.hpp"

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <string>

#include <sys/resource.h>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// In place of a full disk (setrlimit(2), RLIMIT_FSIZE).
void limit_files(const testing::child_process& who, rlim_t bytes) {
  rlimit now{};
  REQUIRE(::prlimit(who.pid(), RLIMIT_FSIZE, nullptr, &now) == 0);
  now.rlim_cur = std::min(bytes, now.rlim_max);
  REQUIRE(::prlimit(who.pid(), RLIMIT_FSIZE, &now, nullptr) == 0);
}

std::size_t count(const std::string& text, const std::string& what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1))
    ++found;
  return found;
}

} // namespace

TEST_CASE("a node says once that its disk is full for messages, and once that it is not any more",
          "[cluster][cli]") {
  need_command();
  temporary_folder folder;
  running_node node{{"--name", "n0", "--data", folder / "n0"}};
  auto send = [&] {
    return run(
      {"send", "echo-n0", "hello", "--class", "confirm", "--synced", "--at", node.address()});
  };
  CHECK(send().status == 0);
  limit_files(node.process(), 8'192); // its files are longer already
  for (auto each = 0; each < 3; ++each) {
    auto refused = send();
    INFO(refused);
    CHECK(refused.says("make space"));
  }
  limit_files(node.process(), RLIM_INFINITY);
  CHECK(comes_true([&] { return send().status == 0; }));
  node.process().send_signal(SIGTERM);
  auto said = finish(node.process());
  INFO(said);
  CHECK(count(said.output, "warning n0: messages cannot be kept on the disk: ") == 1);
  CHECK(count(said.output, "info n0: over: messages cannot be kept on the disk") == 1);
}
