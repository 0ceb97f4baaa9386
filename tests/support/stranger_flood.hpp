#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/bio.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/seeds.hpp"
#include "troupe/net/endpoint.hpp"
#include "troupe/net/resolver.hpp"
#include "troupe/net/socket.hpp"
#include "troupe/testing/comes_true.hpp"

namespace troupe::test {

/// Strangers who connect to a node from 127.0.0.2, 2,000 a second, and send something; the last 32
/// of them stay connected. Lasts as long as the object, in a thread of its own.
class stranger_flood {
public:
  enum class words : std::uint8_t {
    rubbish,         ///< random bytes, half of them behind the beginning of a TLS record
    half_handshakes, ///< the first message of TLS, which costs a node most, or a part of it
  };

  stranger_flood(net::endpoint where, words said)
    : where_(std::move(where)), said_(said), thread_([this] { run(); }) {}

  stranger_flood(const stranger_flood&) = delete;
  stranger_flood& operator=(const stranger_flood&) = delete;

  ~stranger_flood() {
    ends_ = true;
    thread_.join();
  }

  /// How many have come.
  [[nodiscard]] std::size_t count() const {
    return came_;
  }

  /// Waits until that many more have come. Returns whether they have within a minute.
  [[nodiscard]] bool wait_for_more(std::size_t count) const {
    auto before = came_.load();
    return testing::comes_true([&] { return came_ >= before + count; }, std::chrono::minutes{1});
  }

private:
  static std::string first_message_of_tls() {
    const std::unique_ptr<SSL_CTX, decltype(&::SSL_CTX_free)> context{
      ::SSL_CTX_new(::TLS_client_method()), &::SSL_CTX_free};
    const std::unique_ptr<SSL, decltype(&::SSL_free)> tls{::SSL_new(context.get()), &::SSL_free};
    auto* out = ::BIO_new(::BIO_s_mem());
    ::SSL_set_bio(tls.get(), ::BIO_new(::BIO_s_mem()), out);
    ::SSL_connect(tls.get()); // gets no answer
    std::array<char, 4'096> bytes{};
    auto size = ::BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    return {bytes.data(), static_cast<std::size_t>(std::max(size, 0))};
  }

  std::string next_words() {
    if (said_ == words::half_handshakes)
      return random_.one_in(4) ? hello_.substr(0, 1 + random_.below(hello_.size())) : hello_;
    std::string bytes(1 + random_.below(300), '\0');
    for (auto& each : bytes)
      each = static_cast<char>(random_.below(256));
    return (random_.one_in(2) ? "\x16\x03\x01" : "") + bytes;
  }

  void run() {
    const auto source = net::resolve({"127.0.0.2", 0})->front();
    const auto start = std::chrono::steady_clock::now();
    constexpr std::chrono::microseconds pause{500};
    std::vector<net::socket> last(32);
    for (std::size_t count = 0; !ends_;) {
      auto due = static_cast<std::size_t>((std::chrono::steady_clock::now() - start) / pause);
      for (; count < due && !ends_; ++count)
        if (auto made = net::start_connect(where_, source)) {
          auto said = next_words();
          ::send(made->get(), said.data(), said.size(), MSG_NOSIGNAL);
          last[count % last.size()] = std::move(*made);
          ++came_;
        }
      ::poll(nullptr, 0, 1);
    }
  }

  const net::endpoint where_;
  const words said_;
  const std::string hello_ = first_message_of_tls();
  random_source random_{7};
  std::atomic<bool> ends_{false};
  std::atomic<std::size_t> came_{0};
  std::thread thread_;
};

} // namespace troupe::test
