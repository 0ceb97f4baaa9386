#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

/// What `troupe ca` does: one entry for each verb, from which come its help and its checks.
namespace cli {

struct ca_option {
  /// With its dashes.
  std::string_view name;
  /// What it means with this verb, and the kind of its value; empty: as for all.
  std::string_view meaning{};
  std::string_view value{};
};

struct ca_verb {
  std::string_view name;
  std::string_view does;
  std::string_view example;
  /// Those that not all verbs take.
  std::vector<ca_option> options{};
  /// What WHICH is; empty: it takes none.
  std::string_view which{};
};

inline const std::vector<ca_verb>& ca_verbs() {
  constexpr std::string_view certificates
    = "A name or node id, or the beginning of one, which stands for all certificates of that "
      "identity; or the serial of one certificate (troupe ca list)";
  static const std::vector<ca_verb> all{
    {"issue",
     "Makes an identity with certificates for a node or client, or certificates for its request",
     "troupe ca issue --data data1 --name second --out data2",
     {{"--name"},
      {"--role"},
      {"--rights"},
      {"--out",
       "Folder for the identity and its certificates; default with --request: where that file is",
       "FOLDER"},
      {"--request"}}},
    {"list", "Lists the certificates that it has given", "troupe ca list --data data1"},
    {"renew",
     "Makes another certificate for an identity that has one",
     "troupe ca renew second --data data1 --out data2",
     {{"--out", "Folder for the certificates: the data folder of that node, or a new one",
       "FOLDER"}},
     certificates},
    {"revoke",
     "Excludes an identity from the cluster, and warns if that loses its majority of voters",
     "troupe ca revoke second --data data1",
     {{"--at",
       "A node to ask whether the cluster keeps a majority, beside those that the node of --data "
       "has met, HOST:PORT; may be repeated"},
      {"--force", "Even the node that has the CA"}},
     certificates},
    {"invite",
     "Prints a token: a line with which one node or client can join",
     "troupe ca invite --data data1 --out token",
     {{"--name"},
      {"--role"},
      {"--rights"},
      {"--for", "How long the token can be used, 1m to 168h: 15m, 2h"},
      {"--out", "A new file for the token, which only you can read, instead of stdout", "FILE"}}},
    {"invitations", "Lists the tokens, and who has used them",
     "troupe ca invitations --data data1"},
    {"withdraw",
     "Makes a token useless",
     "troupe ca withdraw 3f2c9a1b --data data1",
     {},
     "The id of a token, or its beginning (troupe ca invitations)"}};
  return all;
}

/// Null: there is no such verb.
inline const ca_verb* find_ca_verb(std::string_view name) {
  auto found = std::ranges::find(ca_verbs(), name, &ca_verb::name);
  return found == ca_verbs().end() ? nullptr : &*found;
}

inline std::vector<std::string> ca_verb_names() {
  std::vector<std::string> names;
  for (auto& each : ca_verbs())
    names.emplace_back(each.name);
  return names;
}

/// The verbs with that option, in words; empty: all take it.
inline std::string ca_verbs_with(std::string_view option) {
  std::vector<std::string_view> found;
  for (auto& each : ca_verbs())
    if (std::ranges::find(each.options, option, &ca_option::name) != each.options.end())
      found.push_back(each.name);
  std::string text;
  for (auto& each : found)
    text += (text.empty() ? "" : each == found.back() ? " and " : ", ") + std::string{each};
  return text;
}

} // namespace cli
