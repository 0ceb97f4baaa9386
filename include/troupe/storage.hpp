#pragma once

/// Durable storage: logs and databases on SQLite. No CAF.

#include "troupe/storage/database.hpp"
#include "troupe/storage/log.hpp"
#include "troupe/storage/private_file.hpp"
#include "troupe/storage/private_lines.hpp"
#include "troupe/storage/size_limit.hpp"
#include "troupe/storage/small_file.hpp"
#include "troupe/storage/sqlite_log.hpp"
#include "troupe/storage/watched_file.hpp"
