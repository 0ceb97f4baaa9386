#include "troupe/cluster/handle_table.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <memory>

namespace handle_table_test {

using actor = std::shared_ptr<int>;
using table = troupe::cluster::handle_table<actor>;

TEST_CASE("an actor that is bound keeps its number over many answers", "[node][finder]") {
  table it;
  CHECK(it.number_of(nullptr) == 0);
  auto registry = std::make_shared<int>();
  auto number = it.number_of(registry);
  CHECK(number != 0);
  it.bind({{"registry", number}});
  for (auto answers = 0; answers < 100; ++answers) {
    CHECK(it.number_of(registry) == number);
    CHECK(it.number_of(std::make_shared<int>()) != number);
    it.forget_unbound();
  }
  CHECK(it.actor_of(number) == registry);
  CHECK(it.size() == 1); // others have left nothing
}

TEST_CASE("an actor that is bound no more has another number when it comes again",
          "[node][finder]") {
  table it;
  auto registry = std::make_shared<int>();
  auto names = std::make_shared<int>();
  auto number = it.number_of(registry);
  it.bind({{"registry", number}});
  auto other = it.number_of(names);
  it.bind({{"names", other}});
  it.forget_unbound();
  CHECK(it.actor_of(number) == nullptr);
  CHECK(it.number_of(registry) > other);
  CHECK(it.number_of(names) == other);
}

} // namespace handle_table_test
