#pragma once

/// Links between nodes: addresses, the gate that dials and listens, requests over a link.

#include "troupe/net/address.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/link.hpp"
#include "troupe/net/link_actor.hpp"
#include "troupe/net/link_events.hpp"
#include "troupe/net/link_options.hpp"
#include "troupe/net/messages.hpp"
#include "troupe/net/types.hpp"
