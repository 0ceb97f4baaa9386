#pragma once

#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "troupe/core/json_tree.hpp"
#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/workflow/dag.hpp"
#include "troupe/workflow/detail/file_formats.hpp"
#include "troupe/workflow/types.hpp"

/// Workflows from JSON files.
///
/// `troupe-dag/1` is troupe's format. A task needs only an id. Unknown keys are refused,
/// because they are probably mistakes:
///
///     {"schema": "troupe-dag/1", "name": "nightly", "tasks": [
///       {"id": "fetch", "runtime_s": 1.5, "run": "download", "input": "https://…"},
///       {"id": "count", "parents": ["fetch"], "cores": 2, "gpus": 0, "memory_bytes": 1000,
///        "priority": 20, "retries": 3, "timeout_s": 60, "group": "big",
///        "labels": {"zone": "north"}}]}
///
/// An `input` that is a string is passed to the handler unchanged, any other value as
/// JSON text. WfCommons' WfFormat is read, too, in versions 1.3 to 1.6. There an edge may be
/// in the parents of one task or in the children of the other, and data that troupe does not
/// use (files, machines) is ignored.
namespace troupe::workflow {

/// Bounds of one file.
struct file_limits {
  /// Its max_bytes is the size of the largest file, checked before the file is read. Tasks with
  /// short names need up to 13 bytes of memory per byte, those of WfCommons up to 8.
  json_limits json{.memory_per_byte = 16};
  /// Limits of the workflow in it.
  dag_options dag{};
};

/// Returns the workflow that `text` describes.
///
/// Refusals: bad_argument (invalid JSON, with line and column; not a workflow; an invalid
/// field, with the task; everything that make_dag() refuses), too_large (beyond `limits`).
inline result<dag> parse_workflow(std::string_view text, const file_limits& limits = {}) {
  if (text.empty())
    return problem{errc::bad_argument, "it is empty; a workflow is a JSON object"};
  auto root = parse_json(text, limits.json);
  if (!root)
    return root.error();
  auto given = detail::read_definition(*root);
  if (!given)
    return given.error();
  troupe::detail::take_down(*root); // frees the large tree early
  return make_dag(*std::move(given), limits.dag);
}

namespace detail {

/// A file that is open for reading.
class open_file {
public:
  explicit open_file(const std::filesystem::path& path)
    : number_(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK)) {} // no wait for a FIFO

  ~open_file() {
    if (number_ >= 0)
      ::close(number_);
  }

  open_file(const open_file&) = delete;
  open_file& operator=(const open_file&) = delete;

  /// Returns the content of the file if its size is at most `max_bytes`. The size is checked
  /// first, and no more than that is read.
  [[nodiscard]] result<std::string> read(std::size_t max_bytes) const {
    struct stat found {};
    if (number_ < 0 || ::fstat(number_, &found) != 0)
      return why_not();
    if (!S_ISREG(found.st_mode))
      return problem{errc::bad_argument, "this is not a regular file; give one"};
    auto size = static_cast<std::size_t>(found.st_size);
    if (size > max_bytes)
      return problem{errc::too_large, "the file has " + std::to_string(size)
                                        + " bytes; give at most " + std::to_string(max_bytes)
                                        + " (json_limits::max_bytes)"};
    std::string text(size, '\0');
    std::size_t filled = 0;
    while (filled < size) {
      auto count = ::read(number_, text.data() + filled, size - filled);
      if (count < 0 && errno == EINTR)
        continue;
      if (count < 0)
        return why_not();
      if (count == 0)
        break; // the file was shortened meanwhile
      filled += static_cast<std::size_t>(count);
    }
    text.resize(filled);
    return text;
  }

private:
  static problem why_not() {
    if (errno == ENOENT)
      return {errc::not_found, "there is no such file; check the path"};
    return {errc::bad_argument, "cannot be read: " + std::generic_category().message(errno)};
  }

  int number_;
};

} // namespace detail

/// Returns the workflow in the file `path`. Every error sentence begins with the path.
/// Refusals, in addition to those of parse_workflow(): not_found (no such file),
/// bad_argument (not a regular file, not readable), too_large (its size, before it is read).
inline result<dag> read_workflow(const std::filesystem::path& path,
                                 const file_limits& limits = {}) {
  auto with_path = [&](problem why) {
    why.detail = path.string() + ": " + why.detail;
    return why;
  };
  auto text = detail::open_file{path}.read(limits.json.max_bytes);
  if (!text)
    return with_path(text.error());
  auto flow = parse_workflow(*text, limits);
  if (!flow)
    return with_path(flow.error());
  return flow;
}

} // namespace troupe::workflow
