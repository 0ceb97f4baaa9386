#pragma once

/// Messages to agents by id, group or capability, wherever they live.

#include "troupe/core/caf/init.hpp"
#include "troupe/router/messages.hpp"
#include "troupe/router/router_access.hpp"
#include "troupe/router/router_client.hpp"
#include "troupe/router/router_service.hpp"
#include "troupe/router/types.hpp"
