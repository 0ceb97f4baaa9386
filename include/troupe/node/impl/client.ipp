#pragma once

#include "troupe/net/impl/gate.ipp"
#include "troupe/node/impl/cluster_client.ipp"
