#include "wording.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

namespace cli {

namespace {

using phrase = std::pair<std::string_view, std::string_view>;

constexpr std::array phrases{
  phrase{"hold_options::wait", "--wait"},
  phrase{"as node_options::data", "with --data"},
  phrase{"node_options::data (--data)", "--data"},
  phrase{"node_options::data or identity", "--data or --identity"}, // before its beginning
  phrase{"node_options::data", "--data"},
  phrase{"node_options::listen", "--listen"},
  phrase{"node_options::advertise", "--advertise"},
  phrase{"node_options::join", "--join"},
  phrase{"node_options::name", "--name"},
  phrase{"node_options::replace_after", "--replace-after"},
  phrase{"node_options::voters", "--voters"},
  phrase{"invitation_options::lasts", "--for"},
  phrase{"node_options::bootstrap_expect", "--bootstrap-expect"}, // before its beginning
  phrase{"node_options::bootstrap", "--bootstrap"},
  phrase{"leave_options::force, change_voters::force", "--force"},
  phrase{"leave_options::force", "--force"},
  phrase{"list_locks tells which locks are held", "troupe locks shows those that are held"},
  phrase{"list_keys lists the keys", "troupe list shows the keys"},
  phrase{"router::expire_messages", "troupe inbox AGENT --expire"},
  phrase{"link_options::insecure", "--insecure"},
  phrase{"login_options::replace", "--replace"},
  phrase{"message_options::ttl", "--ttl"},
  phrase{"message_options::delivery confirm", "--class confirm"},
  phrase{"set message_options::durability to memory", "leave out --synced"},
  phrase{" (router_options::max_deliveries of its node)", " (troupe dead-letters shows it)"},
  phrase{" or raise router_options::max_confirms and max_confirm_bytes",
         "; these bounds cannot be set by command"},
  phrase{" (router_options::max_pending and max_all_waiting_bytes)", ""},
  phrase{" or raise agent_options::inbox, or router_options::max_all_waiting_bytes there",
         "; these bounds cannot be set by command"},
  phrase{"check that there is such an agent", "troupe inbox shows where it waits"},
  phrase{"register it with agent_options::once", "its program has to give it one"},
  phrase{"node_options::token", "--token"},
  phrase{"node_options::identity", "--identity"},
  phrase{", or offer scheduler::exec_programs()", ""},
  phrase{" (task_spec::timeout)", ""},
  phrase{", or raise table_options::max_members, max_clients or max_links_of_one_client there",
         "; this bound cannot be set by command"},
};

constexpr std::string_view unsettable = "; this bound cannot be set by command";

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

bool is_of_name(char letter) {
  return (letter >= 'a' && letter <= 'z') || letter == '_' || letter == ':';
}

/// Where the name around `at` begins and ends, such as the name of a field of lock_options.
std::pair<std::size_t, std::size_t> name_around(std::string_view text, std::size_t at) {
  auto begin = at;
  while (begin > 0 && is_of_name(text[begin - 1]))
    --begin;
  auto end = std::min(text.size(), at);
  while (end < text.size() && is_of_name(text[end]))
    ++end;
  return {begin, end};
}

/// Removes the field from `begin` to `end` from a sentence, with the advice to set it.
void take_out_field(std::string& text, std::size_t begin, std::size_t end) {
  auto before = [&](std::string_view words) {
    return std::string_view{text}.substr(0, begin).ends_with(words);
  };
  if (before(" (") && text.substr(end, 1) == ")") {
    text.erase(begin - 2, end + 1 - (begin - 2));
    return;
  }
  for (std::string_view advice : {", or raise ", " or raise ", "; raise "})
    if (before(advice)) {
      begin -= advice.size();
      text.replace(begin, end - begin, unsettable);
      return;
    }
  text.replace(begin, end - begin, "the bound");
}

} // namespace

std::string in_our_words(std::string sentence) {
  for (auto& [from, to] : phrases)
    replace_all(sentence, from, to);
  constexpr std::string_view mark = "options::";
  for (auto at = sentence.find(mark); at != std::string::npos; at = sentence.find(mark)) {
    auto [begin, end] = name_around(sentence, at);
    take_out_field(sentence, begin, end);
  }
  return sentence;
}

std::string about_command(std::string sentence) {
  // As net::message_rules says it, of one of the messages that the command sends.
  for (std::string_view said : {" needs the right ", " is for members of the cluster"}) {
    auto end = sentence.find(said);
    if (end == std::string::npos)
      continue;
    constexpr std::string_view before = ": ";
    auto begin = sentence.rfind(before, end);
    begin = begin == std::string::npos ? 0 : begin + before.size();
    sentence.replace(begin, end - begin, "this command");
  }
  return sentence;
}

std::string shell_quoted(const std::string& text) {
  std::string all = "'";
  for (auto each : text)
    all += each == '\'' ? std::string{R"('\'')"} : std::string{each};
  return all + '\'';
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view plain
    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./@%+=:,-";
  auto needs_none = !text.empty() && text.find_first_not_of(plain) == std::string::npos;
  return needs_none ? text : shell_quoted(text);
}

} // namespace cli
