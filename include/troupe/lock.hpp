#pragma once

/// Locks with leases and fencing tokens: the table, its service, its client, its guard.

#include "troupe/core/caf/init.hpp"
#include "troupe/lock/auto_renew_lock.hpp"
#include "troupe/lock/fenced_store.hpp"
#include "troupe/lock/lock_client.hpp"
#include "troupe/lock/lock_service.hpp"
#include "troupe/lock/lock_table.hpp"
#include "troupe/lock/messages.hpp"
#include "troupe/lock/types.hpp"
