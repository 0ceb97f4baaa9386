#pragma once

/// Identities, certificates and the cluster's CA. No CAF.

#include "troupe/core/signature.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate.hpp"
#include "troupe/security/certificate_register.hpp"
#include "troupe/security/certificate_request.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/enforced_revocations.hpp"
#include "troupe/security/key_pair.hpp"
#include "troupe/security/peer_check.hpp"
#include "troupe/security/revocation_book.hpp"
#include "troupe/security/revocation_list.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/security/types.hpp"
