#include "troupe/node/undertaker.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <memory>
#include <system_error>
#include <thread>

namespace undertaker_test {

using namespace troupe;

TEST_CASE("what cannot end on its own thread ends on another one, also if that is long in coming",
          "[node]") {
  auto tries = 0;
  std::thread::id ended_by{};
  {
    cluster::undertaker it{[&](const std::function<void()>& job) {
      if (++tries <= 2)
        throw std::system_error{std::make_error_code(std::errc::resource_unavailable_try_again)};
      std::thread{job}.detach();
    }};
    it.take(std::shared_ptr<void>{nullptr, [&](void*) { ended_by = std::this_thread::get_id(); }});
  } // waits for its end
  CHECK(tries == 3);
  CHECK(ended_by != std::thread::id{});
  CHECK(ended_by != std::this_thread::get_id());
}

} // namespace undertaker_test
