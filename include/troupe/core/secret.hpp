#pragma once

#include <algorithm>
#include <cstddef>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

#include <openssl/crypto.h>

namespace troupe {

/// Bytes that nobody else may see: a private key, a token. They are wiped when the object ends or
/// is assigned to. They can be moved, but not copied, compared, printed or written to a message.
///
/// Whoever makes a secret from bytes elsewhere wipes those: see take().
class secret {
public:
  secret() = default;

  /// `size` bytes of zero, to be filled.
  explicit secret(std::size_t size) : bytes_(std::make_unique<std::byte[]>(size)), size_(size) {}

  /// Takes the bytes of `source`, which are zero afterwards.
  static secret take(std::span<std::byte> source) {
    secret made{source.size()};
    std::ranges::copy(source, made.bytes_.get());
    wipe(source);
    return made;
  }

  secret(secret&& other) noexcept
    : bytes_(std::move(other.bytes_)), size_(std::exchange(other.size_, 0)) {}

  secret& operator=(secret&& other) noexcept {
    secret old{std::move(*this)};
    bytes_ = std::move(other.bytes_);
    size_ = std::exchange(other.size_, 0);
    return *this;
  }

  ~secret() {
    wipe(bytes());
  }

  [[nodiscard]] std::span<std::byte> bytes() {
    return {bytes_.get(), size_};
  }

  [[nodiscard]] std::span<const std::byte> bytes() const {
    return {bytes_.get(), size_};
  }

  /// The bytes as text, for code that reads text. A copy of it is a secret that nobody wipes.
  [[nodiscard]] std::string_view text() const {
    return {reinterpret_cast<const char*>(bytes_.get()), size_};
  }

  [[nodiscard]] std::size_t size() const {
    return size_;
  }

  /// Overwrites `bytes`; unlike memset it is never optimized away.
  static void wipe(std::span<std::byte> bytes) {
    OPENSSL_cleanse(bytes.data(), bytes.size());
  }

  template <class Inspector>
  friend void inspect(Inspector&, secret&) = delete;

  template <class Stream>
  friend Stream& operator<<(Stream&, const secret&) = delete;

private:
  std::unique_ptr<std::byte[]> bytes_;
  std::size_t size_ = 0;
};

} // namespace troupe
