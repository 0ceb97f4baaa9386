#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "troupe/net/side.hpp"
#include "troupe/security/types.hpp"

namespace troupe::net {

/// The outcome of one call on a byte_stream.
enum class progress : std::uint8_t {
  done,       ///< success, `bytes` were moved
  wait_read,  ///< call again when the descriptor is readable
  wait_write, ///< call again when the descriptor is writable
  failed,     ///< closed by the other side, or broken
};

struct transfer {
  progress state = progress::failed;
  std::size_t bytes = 0;
  /// Of a read: the descriptor had no more bytes just now, so that the next read would find none.
  bool has_all = false;
};

/// The bytes of one connection: what a link needs of TCP, or of a layer over it. Never blocks. Used
/// by one thread at a time: first the gate's, then CAF's I/O thread. Does not own the descriptor;
/// CAF closes it in the end.
///
/// Encryption is added here: only the implementation of this class decides what the wire carries.
class byte_stream {
public:
  byte_stream() = default;
  byte_stream(const byte_stream&) = delete;
  byte_stream& operator=(const byte_stream&) = delete;
  virtual ~byte_stream() = default;

  /// Continues the exchange that the two sides need before the first byte of payload; called until
  /// it is done.
  virtual progress handshake() = 0;

  /// @pre handshake() is done.
  virtual transfer read(std::span<std::byte> into) = 0;

  /// May take fewer bytes than given, but takes at least a whole greeting at once.
  virtual transfer write(std::span<const std::byte> from) = 0;

  /// Returns how many bytes can be read without poll reporting them.
  [[nodiscard]] virtual std::size_t buffered() const = 0;

  /// Who is at the other end, as far as that is proven: nothing without encryption.
  /// @pre handshake() is done.
  [[nodiscard]] virtual std::optional<security::facts> proven() const = 0;

  /// For a connection over which the other side asks for a certificate (security::join_request)
  /// instead of a link: 32 bytes that only the two ends of this connection know. Nothing for
  /// others. @pre handshake() is done.
  [[nodiscard]] virtual std::optional<std::string> join_binding() const {
    return std::nullopt;
  }

  /// Why encryption failed, as a sentence about the other side ("it has no certificate; …"); empty
  /// if it did not.
  [[nodiscard]] virtual const std::string& trouble() const = 0;

  /// Whether trouble() is that the other side, which has proven who it is, refused the certificate
  /// of this side.
  [[nodiscard]] virtual bool was_refused() const {
    return false;
  }
};

/// Makes the streams of a node; called in the gate's thread.
using stream_maker = std::function<std::unique_ptr<byte_stream>(int descriptor, side end)>;

} // namespace troupe::net
