#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

#include <unistd.h>

#include "commands.hpp"
#include "connect.hpp"
#include "table.hpp"
#include "token_words.hpp"
#include "troupe/cluster/voter_types.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/core/utf8.hpp"
#include "troupe/node/cluster_client.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/login.hpp"
#include "troupe/node/login_checks.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/user_name.hpp"
#include "troupe/security/admission.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate_register.hpp"
#include "troupe/security/certificate_request.hpp"
#include "troupe/security/invitation_book.hpp"
#include "troupe/security/join_token.hpp"
#include "troupe/security/setup.hpp"
#include "troupe/storage/small_file.hpp"
#include "wording.hpp"

namespace cli {

using namespace troupe;

namespace {

/// A member may do everything, whatever its certificate says.
std::string rights_of(security::role as, security::rights may) {
  return as == security::role::client ? std::string{name_of(may)} : std::string{};
}

/// " with the right use", for a client.
std::string right_in(const security::facts& what) {
  auto may = rights_of(what.as, what.may);
  return may.empty() ? may : " with the right " + may;
}

json or_null(const std::string& text) {
  return text.empty() ? json(nullptr) : json(text);
}

json to_json(const security::facts& what) {
  return {{"node", to_string(what.node)},
          {"name", what.name},
          {"role", std::string{name_of(what.as)}},
          {"rights", or_null(rights_of(what.as, what.may))},
          {"valid_until", to_rfc3339(what.valid_until)},
          {"serial", what.serial}};
}

int ask_for_certificate(const common_options& common, const init_command& what,
                        const security::key_pair& key) {
  auto request = security::make_request(key);
  auto there = storage::read_small(what.request, request.size());
  if (there ? *there != request : there.error().code != errc::not_found)
    return complain(common,
                    {errc::in_use, "--request is " + what.request
                                     + ", which is there and asks for no certificate of "
                                     + what.data + "; it stays. Remove it, or give another file"});
  if (auto saved = storage::write_private(what.request, request); !saved)
    return complain(common, saved.error());
  return tell(
    common, "requested",
    {{"data", what.data}, {"node", to_string(id_of(key.public_half()))}, {"request", what.request}},
    what.request
      + " asks for a certificate; give it to whoever has the CA (troupe ca issue "
        "--request "
      + shell_word(what.request) + "), and put the files node.pem and ca.pem into " + what.data);
}

result<security::facts> issue_for_request(const security::authority& ca,
                                          security::certificate_register& book,
                                          const ca_command& what,
                                          const security::certificate_order& order,
                                          const std::filesystem::path& out) {
  constexpr std::size_t longest = 65'536;
  auto text = storage::read_small(what.request, longest);
  if (!text)
    return problem{errc::bad_argument, "--request: " + text.error().detail};
  auto key = security::key_in_request(*text);
  if (!key)
    return problem{errc::bad_argument, what.request + ": " + key.error().detail};
  auto issued = security::issue_entered(ca, book, *key, order, read_calendar());
  if (!issued)
    return issued.error();
  if (auto put = security::put_certificates(out, ca.own(), *issued); !put)
    return put.error();
  return security::facts_of(*issued);
}

/// Says that two have one name, by which neither can be revoked then.
void warn_of_namesakes(const common_options& common, const security::known_certificates& book,
                       const security::facts& one) {
  for (auto& each : book.issued())
    if (each.name == one.name && each.node != one.node && each.valid_until > read_calendar()
        && !book.revoked_since(each))
      return note(common, "warning",
                  "'" + one.name + "' is also the name of " + to_string(each.node).substr(0, 8)
                    + "; renew and revoke either by the digits of its id");
}

int issue(const common_options& common, const ca_command& what, const security::authority& ca,
          security::certificate_register& book) {
  if (what.name.empty())
    return complain(common, {errc::bad_argument, "give --name, by which people know the node or "
                                                 "client"});
  if (what.out.empty() && what.request.empty())
    return complain(common, {errc::bad_argument, "give --out for a new identity, or --request for "
                                                 "the identity of another machine"});
  security::certificate_order order{what.name, *security::role_from(what.role),
                                    *security::rights_from(what.rights)};
  auto out = !what.out.empty() ? std::filesystem::path{what.out}
                               : std::filesystem::absolute(what.request).parent_path();
  auto there = cluster::facts_in(out);
  if (order.as == security::role::client && there && there->as == security::role::member)
    return complain(common,
                    {errc::in_use, "--out is " + out.string()
                                     + ", which has the certificate of the node '" + there->name
                                     + "', which could not start with that of a client; it "
                                       "stays. Give another folder"});
  if (there && what.request.empty() && there->name != what.name)
    return complain(common,
                    {errc::in_use, "--out is " + out.string() + ", which has the certificate of '"
                                     + there->name + "'; it stays. Give --name " + there->name
                                     + " if that one is to have another, else another "
                                       "folder"});
  auto issued = what.request.empty() ? security::issue_into(out, ca, book, order, read_calendar())
                                     : issue_for_request(ca, book, what, order, out);
  if (!issued)
    return complain(common, issued.error());
  warn_of_namesakes(common, book, *issued);
  auto said = to_json(*issued);
  said["out"] = out.string();
  return tell(common, "issued", said,
              out.string() + " has a certificate for " + what.role + ' ' + what.name
                + right_in(*issued) + ", valid until " + to_rfc3339(issued->valid_until)
                + (what.request.empty() ? "; it holds a private key, so bring it to its machine on "
                                          "a way that nobody else can read"
                                        : ""));
}

int list(const common_options& common, const ca_command& what, const security::authority& ca) {
  auto book = security::known_certificates::read(std::filesystem::path{what.data}
                                                 / security::authority_folder);
  if (!book)
    return complain(common, book.error());
  // Which has what was revoked where another copy of the CA is.
  auto in_force = security::load_revocation_list(what.data, ca.key());
  auto now = read_calendar();
  table shown{{"NAME", "ROLE", "RIGHTS", "STATE", "VALID UNTIL", "NODE", "SERIAL"}};
  for (auto& each : book->issued()) {
    auto revoked = book->revoked_since(each);
    if (!revoked && in_force)
      revoked = in_force->since({.node = each.node, .name = {}, .serial = each.serial});
    if (common.json) {
      print({{"serial", each.serial},
             {"name", each.name},
             {"node", to_string(each.node)},
             {"role", std::string{name_of(each.as)}},
             {"rights", or_null(rights_of(each.as, each.may))},
             {"valid_until", to_rfc3339(each.valid_until)},
             {"revoked_since", revoked ? json(to_rfc3339(*revoked)) : json(nullptr)}});
      continue;
    }
    auto state = revoked                  ? "revoked " + to_rfc3339(*revoked)
                 : each.valid_until < now ? std::string{"expired"}
                                          : std::string{"valid"};
    shown.add({each.name, std::string{name_of(each.as)}, rights_of(each.as, each.may), state,
               to_rfc3339(each.valid_until), to_string(each.node).substr(0, 8), each.serial});
  }
  if (!common.json)
    shown.print(std::cout);
  return ok;
}

int renew(const common_options& common, const ca_command& what, const security::authority& ca,
          security::certificate_register& book,
          const security::certificate_register::meant& which) {
  if (what.out.empty())
    return complain(common, {errc::bad_argument, "give --out, a folder for the certificates: the "
                                                 "data folder of that node, or a new one"});
  if (auto there = cluster::facts_in(what.out); there && there->node == which.last.node
                                                && there->as == security::role::member
                                                && which.last.as == security::role::client)
    return complain(
      common, {errc::in_use, "--out is " + what.out + ", which has the certificate of the node '"
                               + there->name
                               + "', and the last one of that identity is that of a client; it "
                                 "stays. Give the serial of the other one (troupe ca list), or "
                                 "another folder"});
  auto now = read_calendar();
  auto issued = security::renew_into(what.out, ca, book, which.last, now);
  if (!issued)
    return complain(common, issued.error());
  auto said = to_json(*issued);
  said["out"] = what.out;
  return tell(common, "renewed", said,
              what.out + " has another certificate for " + std::string{name_of(issued->as)} + ' '
                + issued->name + right_in(*issued) + ", valid until "
                + to_rfc3339(issued->valid_until)
                + (which.last.valid_until < now
                     ? ", as the last one expired at " + to_rfc3339(which.last.valid_until)
                     : "")
                + (issued->as == security::role::member
                     ? "; in the data folder of a node it is taken without a restart"
                     : "; the files node.pem and ca.pem belong into the folder that troupe login "
                       "made there, ~/.troupe or another"));
}

/// Says that the cluster loses its majority with a node that is revoked. Says nothing where no node
/// runs on the folder of the CA, so that the list of what is revoked takes effect later; nor where
/// neither --at nor a node that this one has met leads to a leader within `patience`.
void warn_of_lost_majority(const common_options& common, const std::string& data,
                           const security::issued_certificate& last) {
  constexpr duration patience = std::chrono::seconds{2};
  if (last.as != security::role::member || !cluster::is_in_use(data))
    return;
  auto known = common.at;
  std::ranges::copy(cluster::places_met(data), std::back_inserter(known));
  auto places = addresses(known);
  if (!places)
    return;
  auto client = cluster_client::connect(*std::move(places), patience, {}, data);
  if (!client)
    return;
  auto group = (*client)->voters().list(patience);
  auto others = group ? cluster::voters_beside(*group, to_string(last.node)) : std::nullopt;
  if (others && !others->go_on())
    note(common, "warning",
         "'" + last.name + "' votes, and of the other voters " + std::to_string(others->reached)
           + " of " + std::to_string(others->all)
           + " can be reached: without it the cluster has no majority, so it writes nothing until "
             "more of them are back (see troupe voters; troupe recover if they never are)");
}

int revoke(const common_options& common, const ca_command& what, const security::authority& ca,
           security::certificate_register& book,
           const security::certificate_register::meant& which) {
  if (!what.force && security::excludes_own_node(what.data, which))
    return complain(common, {errc::bad_argument,
                             "'" + which.last.name + "' (" + to_string(which.last.node).substr(0, 8)
                               + ") is the node of " + what.data
                               + ", which has this CA: revoked, no other node links to it, so it "
                                 "admits nobody any more. Give --force if you mean that"});
  warn_of_lost_majority(common, what.data, which.last);
  auto list = security::revoke(what.data, ca, book, which, read_calendar());
  if (!list)
    return complain(common, list.error());
  auto& last = which.last;
  auto called = last.name.empty() ? to_string(last.node) : last.name;
  auto file = (std::filesystem::path{what.data} / security::revocation_list_file).string();
  json said{{"name", last.name},
            {"node", to_string(last.node)},
            {"serial", which.by_serial ? json(last.serial) : json(nullptr)},
            {"number", list->number},
            {"file", file}};
  return tell(
    common, "revoked", said,
    (which.by_serial ? "the certificate " + last.serial + " of " + called + " is"
                     : "all certificates of " + called + " are")
      + " revoked, by list " + std::to_string(list->number) + " in " + file
      + "; a node that runs there takes it and tells the others, else bring it into the "
        "data folder of one"
      + (last.as == security::role::member
           ? "; its node ends, and if it votes, a spare member takes its place if there is "
             "one (see troupe voters)"
           : ""));
}

int invite(const common_options& common, const ca_command& what) {
  auto key
    = security::key_pair::load(std::filesystem::path{what.data} / security::identity_key_file);
  if (!key)
    return complain(
      common, key.error().code != errc::not_found
                ? key.error()
                : problem{errc::not_found,
                          what.data + " has a CA, but no " + security::identity_key_file
                            + " of a node, and a token is used at the node that has the CA; put "
                              "the folder ca into the data folder of a member and invite there, or "
                              "admit by hand (troupe ca issue)"});
  std::optional<token_file> file;
  if (!what.out.empty()) { // before the token: there is none, then, that nobody has seen
    auto made = token_file::make(what.out);
    if (!made)
      return complain(common, made.error());
    file.emplace(*std::move(made));
  }
  auto now = read_calendar();
  security::invitation_options how{*security::role_from(what.role),
                                   *security::rights_from(what.rights), what.name,
                                   to_span(what.lasts)};
  auto token = security::invite(std::filesystem::path{what.data} / security::authority_folder,
                                id_of(key->public_half()), how, now);
  if (!token)
    return complain(common, token.error());
  auto line = token->line();
  if (file)
    if (auto why = file->write(line.text()))
      return complain(common, why);
  if (common.json) {
    json said{{"event", "invited"}, {"id", to_string(token->id())}};
    if (file)
      said["out"] = what.out;
    else
      said["token"] = std::string{line.text()};
    said.update({{"role", what.role},
                 {"rights", or_null(rights_of(how.as, how.may))},
                 {"name", what.name.empty() ? json(nullptr) : json(what.name)},
                 {"valid_until", to_rfc3339(now + how.lasts)},
                 {"node_runs", cluster::is_in_use(what.data)}});
    print(said);
    return ok;
  }
  if (!cluster::is_in_use(what.data))
    note(common, "warning",
         "no node runs on " + what.data
           + " now; start it before the line is used, as a token counts there alone");
  auto until = to_rfc3339(now + how.lasts) + ", while the node of " + what.data
               + " runs; whoever has the line can be that one, unless you withdraw it (troupe ca "
                 "withdraw "
               + to_string(token->id()).substr(0, 8) + ")";
  if (file) {
    print_line(std::cout,
               what.out + " has a line with which one " + what.role + " can join until " + until);
    return ok;
  }
  // The line alone on stdout, for scripts.
  print_line(std::cerr, "one " + what.role + " can join with this line until " + until);
  print_line(std::cout, std::string{line.text()});
  return ok;
}

int list_invitations(const common_options& common, const std::filesystem::path& folder) {
  auto book = security::known_invitations::read(folder);
  if (!book)
    return complain(common, book.error());
  auto issued = security::known_certificates::read(folder);
  if (!issued)
    return complain(common, issued.error());
  auto called = [&](const node_id& who) {
    auto digits = to_string(who).substr(0, 8);
    auto found = std::ranges::find(issued->issued(), who, &security::issued_certificate::node);
    return found != issued->issued().end() ? found->name + " (" + digits + ")" : digits;
  };
  auto now = read_calendar();
  table shown{{"ID", "ROLE", "RIGHTS", "NAME", "STATE", "VALID UNTIL"}};
  for (auto& [id, each] : book->all()) {
    auto* used = book->user_of(id);
    if (common.json) {
      print({{"id", to_string(id)},
             {"role", std::string{name_of(each.as)}},
             {"rights", or_null(rights_of(each.as, each.may))},
             {"name", or_null(each.name)},
             {"valid_until", to_rfc3339(each.valid_until)},
             {"used_by", used != nullptr ? json(to_string(id_of(used->by))) : json(nullptr)},
             {"used_since", used != nullptr ? json(to_rfc3339(used->since)) : json(nullptr)}});
      continue;
    }
    auto state = used != nullptr          ? "used by " + called(id_of(used->by))
                 : each.valid_until < now ? std::string{"expired"}
                                          : std::string{"open"};
    shown.add({to_string(id), std::string{name_of(each.as)}, rights_of(each.as, each.may),
               each.name, state, to_rfc3339(each.valid_until)});
  }
  if (!common.json)
    shown.print(std::cout);
  return ok;
}

int withdraw(const common_options& common, const ca_command& what,
             const std::filesystem::path& folder) {
  if (what.which.empty())
    return complain(common, {errc::bad_argument, "give the id of a token; see troupe ca "
                                                 "invitations"});
  auto done = security::withdraw(folder, what.which, read_calendar());
  if (!done)
    return complain(common, done.error());
  auto id = to_string(done->id);
  return tell(common, "withdrawn", {{"id", id}}, "nobody joins with the token " + id + " any more");
}

/// The name of the user of this process. Services and containers have no USER.
std::string current_user() {
  auto* user = std::getenv("USER");
  return user != nullptr && *user != '\0' ? user : user_name(::geteuid());
}

/// "user@host", or what is known of it.
std::string own_name() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  auto name = current_user() + "@" + host.data();
  return std::string{utf8_prefix(name, security::max_certified_name_bytes)};
}

/// A problem with that folder, with what to set.
problem in_folder(problem why, const identity_place& where) {
  if (where.set_by != "--identity" && why.detail.find(where.folder.string()) != std::string::npos)
    why.detail += "; that is about the folder " + where.reason() + ", and --identity gives another";
  return why;
}

} // namespace

int run_login(const common_options& common, const login_command& what) {
  auto at = net::address::from_string(what.at);
  if (!at)
    return complain(common, at.error());
  if (what.token.empty())
    return complain(common, {errc::bad_argument,
                             "give --token, the line that troupe ca invite --role client prints "
                             "at the node that has the CA"});
  auto text = read_token(common, what.token);
  if (!text)
    return complain(common, text.error());
  auto token = security::join_token::from_line(*text);
  if (!token)
    return complain(common, token.error());
  auto where = own_place(common);
  auto& folder = where.folder;
  if (folder.empty())
    return complain(common, {errc::bad_argument, "give --identity, a folder for your key and "
                                                 "certificate"});
  cluster::login_options how{.replace = what.replace,
                             .join = {.wait = common.wait(), .stop = {}, .on_retry = {}}};
  how.join.on_retry = [&common, is_said = false](const problem& why) mutable {
    if (!std::exchange(is_said, true))
      note(common, "waiting", why.detail);
  };
  auto done
    = cluster::login(folder, {*at}, *token,
                     {security::role::client, what.name.empty() ? own_name() : what.name}, how);
  if (!done)
    return complain(common, in_folder(done.error(), where));
  auto said = to_json(*done);
  said["identity"] = folder.string();
  return tell(common, "logged_in", said,
              folder.string() + " has a certificate for " + done->name + " with the right to "
                + std::string{name_of(done->may)} + ", valid until " + to_rfc3339(done->valid_until)
                + (common.identity.empty() ? "; other commands need --at " + what.at
                                               + ", or the variable TROUPE_AT=" + what.at
                                           : ""));
}

int run_init(const common_options& common, const init_command& what) {
  auto data = cluster::data_folder::open(what.data);
  if (!data)
    return complain(common, data.error());
  if (!what.request.empty())
    return ask_for_certificate(common, what, data->key());
  auto name = what.name.empty() ? to_string(data->self().id).substr(0, 8) : what.name;
  auto made = security::make_own_authority(what.data, data->key(), name, read_calendar());
  if (!made)
    return complain(common, made.error());
  auto said = to_json(*made);
  said["data"] = what.data;
  return tell(common, "initialized", said,
              what.data + " has the identity of " + name + " and a CA in "
                + (std::filesystem::path{what.data} / security::authority_folder).string()
                + "; keep a copy of that at a safe place, as who has it can admit anybody. Admit "
                  "others with troupe ca invite --data "
                + shell_word(what.data) + " once its node runs, or with troupe ca issue");
}

int run_ca(const common_options& common, const ca_command& what) {
  auto folder = std::filesystem::path{what.data} / security::authority_folder;
  auto ca = security::authority::load(folder);
  if (!ca)
    return complain(common,
                    ca.error().code == errc::not_found
                      ? problem{errc::bad_argument, what.data
                                                      + " has no CA; give the data folder of "
                                                        "the node that founded the cluster, "
                                                        "or that of troupe init. A cluster that "
                                                        "was founded with --insecure has none"}
                      : ca.error());
  if (what.verb == "invite")
    return invite(common, what);
  if (what.verb == "list")
    return list(common, what, *ca);
  if (what.verb == "invitations")
    return list_invitations(common, folder);
  if (what.verb == "withdraw")
    return withdraw(common, what, folder);
  if (auto done = security::complete_revocations(what.data, read_calendar()); !done)
    return complain(common, done.error());
  auto book = security::certificate_register::open(folder);
  if (!book)
    return complain(common, book.error());
  if (what.verb == "issue")
    return issue(common, what, *ca, *book);
  if (what.which.empty())
    return complain(common, {errc::bad_argument, "give a name, a node id or the serial of a "
                                                 "certificate; see troupe ca list"});
  auto which = what.verb == "renew" ? book->find(what.which, read_calendar())
                                    : book->find_to_revoke(what.which, read_calendar());
  if (!which)
    return complain(common, which.error());
  return what.verb == "renew" ? renew(common, what, *ca, *book, *which)
                              : revoke(common, what, *ca, *book, *which);
}

} // namespace cli
