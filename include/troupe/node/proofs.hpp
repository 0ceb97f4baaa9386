#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <utility>

#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
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
/// insecure links; one for node_options::token, from a member, also if the one in the folder has
/// expired or is revoked; one of a new CA of its own, if it founds a cluster.
class proofs {
public:
  proofs(const node_options& how, data_folder& data, node_log log)
    : how_(how), data_(data), log_(std::move(log)) {}

  /// Null: insecure links. With a token it blocks up to node_options::wait_joined, or 30 s if that
  /// is zero. Errors: those of security::credentials::load() and net::join(), damaged,
  /// storage_full, bad_argument (there is nothing to prove itself with, or options that exclude
  /// each other), conflict (the token is of another cluster than the folder).
  result<security::credentials_ptr> find(wall_time now) {
    if (how_.links.insecure)
      return find_none();
    complete_revocations(now);
    std::optional<security::join_token> token;
    if (!how_.token.empty()) {
      auto read = security::join_token::from_line(how_.token);
      if (!read)
        return read.error();
      if (auto why = refuse_other(*read))
        return why;
      token = *std::move(read);
    }
    auto kept = data_.credentials(now);
    if (token && has_outlived(kept, now))
      return join(*token, now);
    if (!kept)
      return kept.error();
    if (*kept && token)
      log_("the token is not used, as there is a certificate in " + data_.path().string());
    if (*kept)
      return security::credentials_ptr{*kept};
    if (token)
      return join(*token, now);
    if (founds())
      return found(now);
    return without_any();
  }

  /// The CA of a founder without a data folder, after find(). Nothing: there is none.
  [[nodiscard]] std::optional<security::authority> take_authority() {
    return std::exchange(ca_, std::nullopt);
  }

private:
  /// The CA of this node has revoked what its list does not say.
  void complete_revocations(wall_time now) {
    if (data_.path().empty())
      return;
    auto done = security::complete_revocations(data_.path(), now);
    if (!done)
      log_.warn("the list of what the CA of this node has revoked cannot be completed, so that "
                "some of it may be admitted: "
                + done.error().detail);
    else if (*done)
      log_("the list of what the CA of this node has revoked was older than the CA, and is "
           "complete again");
  }

  [[nodiscard]] bool founds() const {
    return data_.self().cluster == cluster_id{} && (how_.join.empty() || how_.bootstrap);
  }

  /// What the certificate is to say.
  [[nodiscard]] std::string name() const {
    return how_.name.empty() ? to_string(data_.self().id).substr(0, 8) : how_.name;
  }

  [[nodiscard]] problem without_any() const {
    if (data_.self().cluster != cluster_id{})
      return {errc::bad_argument,
              data_.path().string()
                + " is of a cluster without certificates, or has lost its own; leave "
                  "link_options::insecure on, or stop all nodes of it, have certificates made "
                  "(troupe init here, troupe ca issue for the others), and start them anew"};
    return {errc::bad_argument,
            "this node has no certificate, with which the others would link it; give a token "
            "(troupe ca invite prints one; node_options::token) or certificates (troupe ca issue; "
            "node_options::data or identity)."
              + std::string{data_.path().empty()
                              ? " Without node_options::data it keeps none, so that each start "
                                "needs another token."
                              : ""}
              + " For tests on one machine there is link_options::insecure"};
  }

  result<security::credentials_ptr> find_none() {
    if (security::has_certificates(data_.path()))
      return problem{errc::bad_argument, data_.path().string()
                                           + " has certificates; leave out "
                                             "link_options::insecure, or give another folder"};
    if (!how_.token.empty())
      return problem{errc::bad_argument, "a token is for encrypted links; leave out "
                                         "node_options::token, or link_options::insecure"};
    return security::credentials_ptr{};
  }

  /// A node stays in the cluster that its folder is of, whatever it is told by mistake.
  [[nodiscard]] problem refuse_other(const security::join_token& token) const {
    auto& folder = data_.path();
    auto ca = ca_of(folder);
    if (!ca || *ca == token.ca())
      return {};
    auto text = folder.string() + " is of another cluster than the token";
    std::error_code fault;
    if (std::filesystem::exists(folder / security::authority_folder, fault))
      text += ": it has a CA of its own, as a node that was started there without "
              "node_options::join has founded one";
    return {errc::conflict, text
                              + "; give an empty folder as node_options::data to join with the "
                                "token, or leave out the token"};
  }

  /// The fingerprint of the CA that the certificates in `folder` are of, or its own; nothing: none
  /// that can be read.
  static std::optional<digest> ca_of(const std::filesystem::path& folder) {
    if (folder.empty())
      return std::nullopt;
    for (auto& each : {folder / security::ca_certificate_file,
                       folder / security::authority_folder / security::authority::certificate_file})
      if (auto ca = security::certificate::load(each))
        if (auto key = security::detail::key_of(ca->native()))
          return security::fingerprint_of(*key);
    return std::nullopt;
  }

  /// Whether what the folder has proves nothing any more, so that a token is of use.
  [[nodiscard]] bool has_outlived(const result<std::shared_ptr<security::credentials>>& kept,
                                  wall_time now) const {
    if (kept)
      return *kept && !(*kept)->revoked()->refusal((*kept)->self()).empty();
    auto own = security::certificate::load(data_.file(security::identity_certificate_file));
    auto about = own ? security::facts_of(*own) : problem{own.error()};
    return about && about->valid_until < now;
  }

  result<security::credentials_ptr> join(const security::join_token& token, wall_time now) {
    if (how_.join.empty())
      return problem{errc::bad_argument,
                     "a token is for joining; give the address of a member, too "
                     "(node_options::join)"};
    static constexpr auto topic = "no certificate by the token yet";
    net::join_options how{.stop = how_.stop, .on_retry = {}};
    if (how_.wait_joined > duration::zero())
      how.wait = how_.wait_joined;
    how.on_retry = [this](const problem& why) { log_.complain(topic, why.detail); };
    auto got = net::join(how_.join, token, data_.key(), {security::role::member, name()}, how);
    if (!got)
      return got.error();
    log_.settle(topic);
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
