#pragma once

#include <optional>
#include <string>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/net/join.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/node_log.hpp"
#include "troupe/node/options.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/credentials.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/setup.hpp"

/// How a node that starts comes to the certificate with which it proves who it is.
namespace troupe::cluster {

/// Finds or gets the certificate of a node. In this order: the one in its folder; none at all for
/// insecure links; one for node_options::token, from a member; one of a new CA of its own, if it
/// founds a cluster.
class proofs {
public:
  proofs(const node_options& how, data_folder& data, node_log log)
    : how_(how), data_(data), log_(std::move(log)) {}

  /// Null: insecure links. Blocks up to 30 s if it joins with a token. Errors: those of
  /// security::credentials::load() and net::join(), damaged, storage_full, bad_argument (there is
  /// nothing to prove itself with, or options that exclude each other).
  result<security::credentials_ptr> find(wall_time now) {
    auto kept = data_.credentials(now);
    if (!kept)
      return kept.error();
    if (*kept && how_.links.insecure)
      return problem{errc::bad_argument, data_.path().string()
                                           + " has certificates; leave out "
                                             "link_options::insecure, or give another folder"};
    if (*kept && !how_.token.empty())
      log_("the token is not used, as there is a certificate in " + data_.path().string());
    if (*kept || how_.links.insecure)
      return security::credentials_ptr{*kept};
    if (!how_.token.empty())
      return join(now);
    if (founds())
      return found(now);
    return problem{errc::bad_argument,
                   "this node has no certificate, with which the others would link it; give a "
                   "token (troupe ca invite prints one; node_options::token) or certificates "
                   "(troupe ca issue; node_options::data or identity). For tests on one machine "
                   "there is link_options::insecure"};
  }

  /// The CA of a founder without a data folder, after find(). Nothing: there is none.
  [[nodiscard]] std::optional<security::authority> take_authority() {
    return std::exchange(ca_, std::nullopt);
  }

private:
  [[nodiscard]] bool founds() const {
    return data_.self().cluster == cluster_id{} && (how_.join.empty() || how_.bootstrap);
  }

  /// As much of the node's name as a certificate has room for.
  [[nodiscard]] std::string name() const {
    return how_.name.empty()
             ? to_string(data_.self().id).substr(0, 8)
             : std::string{utf8_prefix(how_.name, security::max_certified_name_bytes)};
  }

  result<security::credentials_ptr> join(wall_time now) {
    if (how_.join.empty())
      return problem{errc::bad_argument,
                     "a token is for joining; give the address of a member, too "
                     "(node_options::join)"};
    auto token = security::join_token::from_line(how_.token);
    if (!token)
      return token.error();
    if (data_.path().empty())
      data_.take_key(security::key_pair::make());
    auto got = net::join(how_.join, *token, data_.key(), {security::role::member, name()});
    if (!got)
      return got.error();
    auto made = security::credentials::make(data_.key(), got->own, got->ca, now);
    if (!made)
      return made.error();
    if (!data_.path().empty())
      if (auto put = security::put_certificates(data_.path(), got->ca, got->own); !put)
        return put.error();
    log_("a token has given this node a certificate as '" + (*made)->self().name + "', valid until "
         + to_rfc3339((*made)->self().valid_until));
    return security::credentials_ptr{*made};
  }

  /// A new cluster has a CA of its own.
  result<security::credentials_ptr> found(wall_time now) {
    if (!data_.path().empty()) {
      auto made = security::make_own_authority(data_.path(), data_.key(), name(), now);
      if (!made)
        return made.error();
      log_(
        "a new CA in " + (data_.path() / security::authority_folder).string()
        + " admits others to this cluster (troupe ca invite); keep a copy of it at a safe place");
      auto kept = data_.credentials(now);
      if (!kept)
        return kept.error();
      return security::credentials_ptr{*kept};
    }
    data_.take_key(security::key_pair::make());
    ca_ = security::authority::make_in_memory(now);
    auto own = ca_->issue(data_.key().public_half(),
                          {name(), security::role::member, security::rights::operate}, now);
    if (!own)
      return own.error();
    auto made = security::credentials::make(data_.key(), *std::move(own), ca_->own(), now);
    if (!made)
      return made.error();
    return security::credentials_ptr{*made};
  }

  const node_options& how_;
  data_folder& data_;
  node_log log_;
  std::optional<security::authority> ca_;
};

} // namespace troupe::cluster
