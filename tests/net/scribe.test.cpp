#include "troupe/net/scribe.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>

namespace scribe_test {

using namespace troupe;
using namespace troupe::net;

namespace {

/// Says what it is told to.
class scripted_stream final : public byte_stream {
public:
  struct script {
    std::deque<transfer> reads{};
    std::size_t buffered = 0;
    std::size_t calls = 0;
  };

  explicit scripted_stream(std::shared_ptr<script> by) : by_(std::move(by)) {}

  progress handshake() override {
    return progress::done;
  }

  transfer read(std::span<std::byte> into) override {
    ++by_->calls;
    if (by_->reads.empty())
      return {progress::wait_read, 0};
    auto next = by_->reads.front();
    by_->reads.pop_front();
    REQUIRE(next.bytes <= into.size());
    return next;
  }

  transfer write(std::span<const std::byte> from) override {
    return {progress::done, from.size()};
  }

  [[nodiscard]] std::size_t buffered() const override {
    return by_->buffered;
  }

  [[nodiscard]] std::optional<security::facts> proven() const override {
    return std::nullopt;
  }

  [[nodiscard]] std::optional<std::string> join_binding() const override {
    return std::nullopt;
  }

  [[nodiscard]] const std::string& trouble() const override {
    return trouble_;
  }

  [[nodiscard]] bool was_refused() const override {
    return false;
  }

private:
  std::shared_ptr<script> by_;
  std::string trouble_;
};

/// What CAF reads of a link.
class reader {
public:
  explicit reader(std::deque<transfer> reads, std::size_t buffered = 0)
    : script_(std::make_shared<scripted_stream::script>()),
      transport_(std::make_unique<scripted_stream>(script_), [](std::size_t) {}) {
    script_->reads = std::move(reads);
    script_->buffered = buffered;
  }

  /// Of so many; nothing: the link has failed.
  std::optional<std::size_t> read(std::size_t size) {
    std::array<std::byte, 256> into{};
    REQUIRE(size <= into.size());
    std::size_t count = 0;
    if (transport_.read_some(count, 0, into.data(), size) != link_transport::state::success)
      return std::nullopt;
    return count;
  }

  bool must_read_more(std::size_t threshold) {
    return transport_.must_read_more(0, threshold);
  }

  [[nodiscard]] std::size_t calls() const {
    return script_->calls;
  }

private:
  std::shared_ptr<scripted_stream::script> script_;
  link_transport transport_;
};

} // namespace

TEST_CASE("a read that empties the descriptor is the last one of its turn", "[net]") {
  reader it{{{progress::done, 48, true}, {progress::done, 5, true}}};
  CHECK(it.read(48) == 48);
  CHECK(it.read(48) == 0);
  CHECK(it.calls() == 1);
  CHECK(it.read(48) == 5);
  CHECK(it.read(43) == 0);
  CHECK(it.calls() == 2);
}

TEST_CASE("a read goes on where the descriptor may have more", "[net]") {
  reader it{{{progress::done, 48}, {progress::done, 20, true}}};
  CHECK(it.read(48) == 48);
  CHECK(it.read(48) == 20);
  CHECK(it.read(28) == 0);
  CHECK(it.calls() == 2);
}

TEST_CASE("what poll does not report is read before a turn ends", "[net]") {
  reader it{{{progress::done, 48, true}, {}}, 1};
  CHECK(it.read(48) == 48);
  CHECK(it.must_read_more(48));
  CHECK_FALSE(it.read(48)); // the end of the link, as it was found behind these bytes
}

TEST_CASE("a turn that ends before all is read costs the next one nothing", "[net]") {
  reader it{{{progress::done, 100, true}, {progress::done, 200, true}}};
  CHECK(it.read(48) == 48);
  CHECK(it.must_read_more(52));
  CHECK(it.read(48) == 48);
  CHECK_FALSE(it.must_read_more(48));
  CHECK(it.read(48) == 4);
  CHECK(it.read(44) == 44);
  CHECK(it.calls() == 2);
}

} // namespace scribe_test
