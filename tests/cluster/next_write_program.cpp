// A member and a light client of a cluster, and how soon they write when they are told to.
//
// Usage: next_write_program ADDRESS,...
// Says "ready" once both have written. At each SIGUSR1 both write at the same time, and it says
// "member MS client MS", or why one of them could not.

#include "program_end.hpp"
#include "support/test_ca.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/node.hpp"

#include <chrono>
#include <csignal>
#include <future>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

using namespace std::literals;
using namespace troupe;
using test::addresses_in;
using test::fail;
using test::value_of;

namespace {

node start_member(std::vector<net::address> where) {
  node_options how;
  how.name = "member";
  how.listen = {"127.0.0.1", 0};
  how.join = std::move(where);
  how.wait_joined = 20s;
  test::certify(how);
  return value_of(node::start(std::move(how)));
}

/// Returns how long it took.
template <class Who>
std::chrono::milliseconds write(Who& who, const std::string& key) {
  auto begin = std::chrono::steady_clock::now();
  value_of(who.state().put(key, "value"));
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now()
                                                               - begin);
}

} // namespace

int main(int argc, char** argv) {
  auto where = addresses_in(argc == 2 ? argv[1] : "");
  if (where.empty())
    fail({errc::bad_argument, "give ADDRESS,..."});
  sigset_t told; // blocked before there are other threads, which take it otherwise
  sigemptyset(&told);
  sigaddset(&told, SIGUSR1);
  pthread_sigmask(SIG_BLOCK, &told, nullptr);
  auto member = start_member(where);
  auto client
    = value_of(cluster_client::connect(where, 20s, test::client_links(), test::client_identity()));
  write(member, "of the member");
  write(*client, "of the client");
  std::cout << "ready" << std::endl;
  for (int which = 0; sigwait(&told, &which) == 0;) {
    auto other = std::async(std::launch::async, [&] { return write(*client, "of the client"); });
    auto own = write(member, "of the member");
    std::cout << "member " << own.count() << " client " << other.get().count() << std::endl;
  }
}
