#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

#include "commands.hpp"
#include "troupe/core/calendar.hpp"
#include "troupe/core/log_line.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/certificate_request.hpp"
#include "troupe/security/setup.hpp"

namespace cli {

using namespace troupe;

namespace {

json to_json(const security::facts& what) {
  return {{"node", to_string(what.node)},
          {"name", what.name},
          {"role", std::string{name_of(what.as)}},
          {"rights", std::string{name_of(what.may)}},
          {"valid_until", to_rfc3339(what.valid_until)},
          {"serial", what.serial}};
}

int ask_for_certificate(const common_options& common, const init_command& what,
                        const security::key_pair& key) {
  if (auto saved = storage::write_private(what.request, security::make_request(key)); !saved)
    return complain(common, saved.error());
  return tell(
    common, "requested",
    {{"data", what.data}, {"node", to_string(id_of(key.public_half()))}, {"request", what.request}},
    what.request
      + " asks for a certificate; give it to whoever has the CA (troupe ca issue "
        "--request "
      + what.request + "), and put the files node.pem and ca.pem into " + what.data);
}

result<std::string> read_request(const std::string& file) {
  constexpr std::size_t longest = 65'536;
  std::ifstream in{file, std::ios::binary};
  if (!in)
    return problem{errc::not_found, "cannot read " + file + "; check the path"};
  std::string text(longest, '\0');
  in.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<std::size_t>(in.gcount()));
  return text;
}

result<security::facts> issue_for_request(const security::authority& ca, const ca_command& what,
                                          const security::certificate_order& order,
                                          const std::filesystem::path& out) {
  auto text = read_request(what.request);
  if (!text)
    return text.error();
  auto key = security::key_in_request(*text);
  if (!key)
    return problem{key.error().code, what.request + ": " + key.error().detail};
  auto issued = ca.issue(*key, order, read_calendar());
  if (!issued)
    return issued.error();
  if (auto put = security::put_certificates(out, ca, *issued); !put)
    return put.error();
  return security::facts_of(*issued);
}

} // namespace

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
                  "others with troupe ca issue --data "
                + what.data);
}

int run_ca(const common_options& common, const ca_command& what) {
  if (what.out.empty() && what.request.empty())
    return complain(common, {errc::bad_argument, "give --out for a new identity, or --request for "
                                                 "the identity of another machine"});
  auto ca
    = security::authority::load(std::filesystem::path{what.data} / security::authority_folder);
  if (!ca)
    return complain(
      common, ca.error().code == errc::not_found
                ? problem{errc::not_found, what.data + " has no CA; give the folder of troupe init"}
                : ca.error());
  security::certificate_order order{what.name, *security::role_from(what.role),
                                    *security::rights_from(what.rights)};
  auto out = !what.out.empty() ? std::filesystem::path{what.out}
                               : std::filesystem::absolute(what.request).parent_path();
  auto issued = what.request.empty() ? security::issue_into(out, *ca, order, read_calendar())
                                     : issue_for_request(*ca, what, order, out);
  if (!issued)
    return complain(common, issued.error());
  auto said = to_json(*issued);
  said["out"] = out.string();
  return tell(common, "issued", said,
              out.string() + " has a certificate for " + what.role + ' ' + what.name
                + " with the rights to " + what.rights + ", valid until "
                + to_rfc3339(issued->valid_until)
                + (what.request.empty() ? "; it holds a private key, so bring it to its machine on "
                                          "a way that nobody else can read"
                                        : ""));
}

} // namespace cli
