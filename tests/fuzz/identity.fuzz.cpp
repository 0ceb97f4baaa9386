#include <fstream>
#include <string>

#include "fuzz/laws.hpp"
#include "support/temporary_folder.hpp"
#include "troupe/node/identity.hpp"

namespace identity_fuzz {

namespace {

// The file in a data folder that says whose it is: read, and written again with one more start.
int one_input(const std::uint8_t* data, std::size_t size) {
  using namespace troupe;
  auto bytes = test::text_of(data, size);
  test::check_memory(bytes, [&] {
    if (auto read = from_json<cluster::identity>(std::string{bytes}, test::narrow_limits()))
      test::must_hold(to_json(*read).has_value(), "what was read is written");
  });
  static const test::temporary_folder folder;
  static const auto own_id = [] {
    auto key = security::key_pair::make();
    test::must_hold(key.save(folder / "identity.key").has_value(), "there is room for a key");
    return id_of(key.public_half());
  }();
  // With the id of the key beside it, which no other bytes could have.
  std::string content{bytes};
  if (auto read = from_json<cluster::identity>(content); read && read->id != node_id{}) {
    read->id = own_id;
    content = to_json(*read).value();
  }
  std::ofstream{folder / "identity.json", std::ios::binary} << content;
  cluster::identity self;
  for (auto start = 1; start <= 2; ++start) {
    auto opened = cluster::data_folder::open(folder / ".");
    if (!opened && start == 1) {
      test::must_hold(!opened.error().detail.empty(), "a refusal says why");
      return 0;
    }
    test::must_hold(opened && opened->count_start().code == errc::none
                      && opened->self().boot > self.boot,
                    "starts are counted");
    self = opened->self();
  }
  return 0;
}

} // namespace

} // namespace identity_fuzz

TROUPE_FUZZER(identity, identity_fuzz::one_input)
