// Where keys and tokens are, and where not.

#include "cluster/identities.hpp"
#include "support/secret_forms.hpp"
#include "troupe/security/key_pair.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <sstream>

#include <openssl/evp.h>
#include <sys/types.h>

using namespace std::literals;
using namespace troupe;
using namespace troupe::test;

namespace {

/// The secret half of the key in a file.
secret_forms secret_of(const std::string& file) {
  auto key = security::key_pair::load(file);
  REQUIRE(key);
  std::array<std::byte, 32> bytes{};
  auto size = bytes.size();
  REQUIRE(::EVP_PKEY_get_raw_private_key(key->native(),
                                         reinterpret_cast<unsigned char*>(bytes.data()), &size)
          == 1);
  return secret_forms{bytes};
}

/// What a process can write in its memory; empty if this process may not look there.
std::vector<std::string> memory_of(pid_t process) {
  auto folder = "/proc/" + std::to_string(process) + "/";
  std::ifstream maps{folder + "maps"};
  std::ifstream memory{folder + "mem", std::ios::binary};
  std::vector<std::string> all;
  constexpr std::size_t most = 64U << 20U; // what threads have reserved has nothing in it
  for (std::string line; std::getline(maps, line);) {
    std::istringstream words{line};
    std::uint64_t first = 0;
    std::uint64_t last = 0;
    char dash = 0;
    std::string how;
    words >> std::hex >> first >> dash >> last >> how;
    if (!how.starts_with("rw") || last - first > most)
      continue;
    std::string bytes(last - first, '\0');
    memory.clear();
    memory.seekg(static_cast<std::streamoff>(first));
    if (memory.read(bytes.data(), static_cast<std::streamsize>(bytes.size())))
      all.push_back(std::move(bytes));
  }
  return all;
}

running_node node_without_defaults(words options) {
  words command{"node", "--json", "--listen", "127.0.0.1:0", "--timers", "lan", "--slots", "0"};
  command.insert(command.end(), options.begin(), options.end());
  return running_node{start(command)};
}

bool are_in_memory(const secret_forms& secret, const std::vector<std::string>& memory) {
  return std::ranges::any_of(memory, [&](auto& each) { return secret.are_in(each); });
}

} // namespace

TEST_CASE("what has used a token, or a key that it needs no more, has it in memory no more",
          "[cluster][join]") {
  need_command();
  temporary_folder folder;
  auto at = [&](const std::string& name) { return (folder / name).string(); };
  auto first = node_without_defaults({"--data", at("d1"), "--name", "first"});
  auto own_key = secret_of(at("d1/identity.key"));
  auto memory = memory_of(first.process().pid());
  if (memory.empty())
    SKIP("this user may not look into the memory of other processes");
  REQUIRE(are_in_memory(own_key, memory)); // a node needs that all the time, so it would be found
  must({"ca", "invite", "--data", at("d1"), "--out", at("token")});
  auto token = secret_forms::of_token([&] {
    auto line = content_of(at("token"));
    return line.substr(0, line.find('\n'));
  }());
  REQUIRE(token.are_in(content_of(at("token"))));
  auto second = node_without_defaults({"--data", at("d2"), "--name", "second", "--join",
                                       first.address(), "--token", "@" + at("token")});
  auto ca_key = secret_of(at("d1/ca/ca.key")); // has certified it
  for (auto* each : {&first, &second}) {
    auto seen = memory_of(each->process().pid());
    REQUIRE_FALSE(seen.empty());
    CHECK_FALSE(are_in_memory(token, seen));
    CHECK_FALSE(are_in_memory(ca_key, seen));
  }
}

TEST_CASE("no log, no status and no other file has a key", "[cluster][join]") {
  need_command();
  identities who;
  variable home{"TROUPE_HOME", who.folder("c1")};
  running_node first{{"--name", "n0", "--data", who.folder("n0")}};
  running_node second{{"--name", "n1", "--data", who.folder("n1"), "--join", first.address()}};
  REQUIRE(comes_true([&] {
    auto seen = run({"status", "--json", "--at", first.address()}).line();
    return seen.value("members", json::array()).size() == 2;
  }));
  std::string said;
  for (auto& node : {first.address(), second.address()})
    for (words command : {words{"status"},
                          {"status", "--json"},
                          {"status", "--links"},
                          {"agents", "--json"},
                          {"voters", "--json"}}) {
      command.insert(command.end(), {"--at", node});
      said += run(command).output;
    }
  said += run({"ca", "list", "--data", who.folder("n0")}).output;
  must({"ca", "renew", "n1", "--data", who.folder("n0"), "--out", who.folder("n1")});
  must({"ca", "revoke", "n2", "--data", who.folder("n0")});
  for (auto* each : {&first, &second}) {
    each->process().send_signal(SIGTERM);
    said += each->process().read_rest();
  }
  REQUIRE_FALSE(said.empty());
  for (std::string file :
       {"n0/ca/ca.key", "n0/identity.key", "n1/identity.key", "c1/identity.key"}) {
    INFO(file);
    auto key = secret_of(who.folder(file));
    CHECK_FALSE(key.are_in(said));
    CHECK(key.files_in(who.folder("")) == words{who.folder(file)});
  }
}
