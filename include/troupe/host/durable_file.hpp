#pragma once

#include <filesystem>
#include <string>

#include "troupe/host/durable.hpp"
#include "troupe/storage/sqlite_log.hpp"

/// `durable{"tickets.db"}`: a host whose journal is that file, an SQLite database. The file is
/// created if it does not exist; its folder must exist. Only one service can use it at a time: a
/// second one gets in_use. Files beside it with its name and a suffix belong to it.
namespace troupe::host {

durable(const char*)->durable<storage::sqlite_log>;
durable(const std::string&)->durable<storage::sqlite_log>;
durable(const std::filesystem::path&)->durable<storage::sqlite_log>;

} // namespace troupe::host
