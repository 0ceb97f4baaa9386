#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "troupe/core/base64.hpp"
#include "troupe/core/hex.hpp"

namespace troupe::test {

/// What a secret looks like where somebody has written it: its bytes, its hex digits, and its
/// base64 digits wherever in a longer text these bytes may stand.
class secret_forms {
public:
  explicit secret_forms(std::span<const std::byte> bytes) {
    forms_.emplace_back(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    forms_.push_back(to_hex(bytes));
    auto upper = forms_.back();
    std::ranges::transform(upper, upper.begin(), [](unsigned char digit) {
      return static_cast<char>(std::toupper(digit));
    });
    forms_.push_back(std::move(upper));
    // Three bytes are four digits: those that depend on what is around are left out.
    for (std::size_t skipped = 0; skipped < 3; ++skipped) {
      auto inner = bytes.subspan(skipped);
      auto text = to_base64(inner.first(inner.size() - inner.size() % 3));
      forms_.push_back(text);
      std::ranges::replace(text, '+', '-');
      std::ranges::replace(text, '/', '_');
      forms_.push_back(std::move(text));
    }
  }

  [[nodiscard]] bool are_in(std::string_view text) const {
    return std::ranges::any_of(
      forms_, [&](auto& each) { return text.find(each) != std::string_view::npos; });
  }

  /// The files in `folder`, and in those below it, that have the secret.
  [[nodiscard]] std::vector<std::string> files_in(const std::filesystem::path& folder) const {
    std::vector<std::string> found;
    for (auto& each : std::filesystem::recursive_directory_iterator{folder}) {
      std::ifstream in{each.path(), std::ios::binary};
      if (each.is_regular_file()
          && (are_in(each.path().filename().string())
              || are_in(std::string{std::istreambuf_iterator<char>{in}, {}})))
        found.push_back(each.path().string());
    }
    return found;
  }

  /// The secret of a token, by the line of that.
  static secret_forms of_token(std::string_view line) {
    constexpr std::size_t check_digits = 8;
    constexpr std::size_t secret_digits = 32;
    auto bytes
      = from_hex(line.substr(line.size() - check_digits - secret_digits, secret_digits)).value();
    return secret_forms{bytes};
  }

private:
  std::vector<std::string> forms_;
};

} // namespace troupe::test
