#pragma once

#include <cerrno>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <sys/socket.h>

#include "troupe/net/byte_stream.hpp"

namespace troupe::net {

/// Plain TCP: anyone on the network path can read and change it. For loopback.
class plain_stream final : public byte_stream {
public:
  explicit plain_stream(int descriptor) : descriptor_(descriptor) {}

  progress handshake() override {
    return progress::done;
  }

  transfer read(std::span<std::byte> into) override {
    auto count = ::recv(descriptor_, into.data(), into.size(), 0);
    if (count == 0 && !into.empty())
      return {};
    auto result = outcome(count, progress::wait_read);
    result.has_all = count < static_cast<ssize_t>(into.size());
    return result;
  }

  transfer write(std::span<const std::byte> from) override {
    return outcome(::send(descriptor_, from.data(), from.size(), MSG_NOSIGNAL),
                   progress::wait_write);
  }

  [[nodiscard]] std::size_t buffered() const override {
    return 0;
  }

  [[nodiscard]] std::optional<security::facts> proven() const override {
    return std::nullopt;
  }

  [[nodiscard]] const std::string& trouble() const override {
    static const std::string none;
    return none;
  }

private:
  static transfer outcome(ssize_t count, progress later) {
    if (count >= 0)
      return {progress::done, static_cast<std::size_t>(count)};
    return {errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? later : progress::failed,
            0};
  }

  int descriptor_;
};

inline std::unique_ptr<byte_stream> make_plain_stream(int descriptor, side) {
  return std::make_unique<plain_stream>(descriptor);
}

} // namespace troupe::net
