#include "help.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <string_view>
#include <utility>
#include <vector>

#include "option_words.hpp"
#include "settings.hpp"

namespace cli {

using namespace troupe;

namespace {

struct command_help {
  std::string_view name;
  std::string_view group;
  std::string_view example;
  /// Lines that do not belong to an option; may be empty.
  std::string_view notes{};
};

constexpr std::string_view notes_on_top
  = "Keys: q quits, p pauses or resumes. Tab and the left and right arrows change the pane.\n"
    "The up and down arrows, k, j, PgUp and PgDn scroll it. Ctrl-C ends it, Ctrl-Z stops it.";

constexpr std::string_view notes_on_mark
  = "Behind -- no word is an option, so that a value may begin with -.";

constexpr std::string_view notes_on_values
  = "With --json a value that is not UTF-8 is in value_base64 instead of value.";

constexpr std::string_view notes_on_completion
  = "bash: source <(troupe completion bash), in ~/.bashrc for all later shells.\n"
    "zsh:  source <(troupe completion zsh), in ~/.zshrc after compinit.\n"
    "fish: troupe completion fish > ~/.config/fish/completions/troupe.fish, once.";

constexpr std::array examples{
  command_help{"demo", "First steps", "troupe demo --seconds 20"},
  command_help{"help", "First steps", "troupe help submit"},
  command_help{"completion", "First steps", "source <(troupe completion bash)",
               notes_on_completion},
  command_help{"man", "First steps", "troupe man | man -l -"},
  command_help{"node", "Nodes",
               "troupe node --listen 127.0.0.1:6768 --name second --data data2 --join "
               "127.0.0.1:6767 --token @token"},
  command_help{"init", "Nodes", "troupe init --data data1 --name first"},
  command_help{"ca", "Nodes",
               "troupe ca invite --data data1 --out token; troupe ca list --data data1; troupe ca "
               "revoke second --data data1"},
  command_help{"login", "Nodes", "troupe login 127.0.0.1:6767 --token @token"},
  command_help{"leave", "Nodes", "troupe leave --at 127.0.0.1:6768"},
  command_help{"status", "Nodes", "troupe status --at 127.0.0.1:6767"},
  command_help{"top", "Nodes", "troupe top --every 500ms", notes_on_top},
  command_help{"maintain", "Nodes", "troupe maintain second; troupe maintain second --off"},
  command_help{"voters", "Nodes", "troupe voters; troupe voters replace second third"},
  command_help{"config", "Nodes", "TROUPE_SLOTS=8 troupe config --config troupe.json"},
  command_help{"backup", "Nodes", "troupe backup cluster.backup"},
  command_help{"restore", "Nodes", "troupe restore cluster.backup --data data4"},
  command_help{"recover", "Nodes", "troupe recover --data data1 --dry-run"},
  command_help{"dag", "Workflows", "troupe dag examples/data/diamond.json --svg diamond.svg"},
  command_help{"submit", "Workflows", "troupe submit examples/data/diamond.json --key monday"},
  command_help{"workflows", "Workflows", "troupe workflows; troupe workflows cancel 6"},
  command_help{"run", "Workflows", "troupe run 6 --results"},
  command_help{"lock", "Locks", "troupe lock backup --ttl 30s --wait 1m -- make backup"},
  command_help{"locks", "Locks", "troupe locks; troupe locks --force-release backup"},
  command_help{"agents", "Agents", "troupe agents"},
  command_help{"send", "Agents",
               "troupe send echo-second hello; troupe send echo-second hello --class confirm "
               "--synced",
               notes_on_mark},
  command_help{"request", "Agents", "troupe request echo-second 'are you there?'", notes_on_mark},
  command_help{"dead-letters", "Agents",
               "troupe dead-letters --node second; troupe dead-letters --show 3fa9:2:17; "
               "troupe dead-letters --redrive all"},
  command_help{"inbox", "Agents", "troupe inbox; troupe inbox echo-second --node first"},
  command_help{"get", "State", "troupe get colour", notes_on_values},
  command_help{"put", "State", "troupe put colour blue; troupe put options -- --dry-run",
               notes_on_mark},
  command_help{"remove", "State", "troupe remove colour"},
  command_help{"list", "State", "troupe list; troupe list jobs/ --level eventual"},
  command_help{"watch", "State", "troupe watch colour", notes_on_values},
  command_help{"sim", "Tests of the cluster", "troupe sim raft --seeds 0..99"},
  command_help{"chaos", "Tests of the cluster", "troupe chaos --seconds 1m --workload lock"},
};

/// One line for each option, with its value and default, without C++ types.
class help_format : public CLI::Formatter {
public:
  help_format() {
    column_width(26);
    label("OPTIONS", "OPTIONS");
    label("SUBCOMMAND", "COMMAND");
  }

  std::string make_help(const CLI::App* app, std::string name,
                        CLI::AppFormatMode mode) const override {
    auto text = CLI::Formatter::make_help(app, std::move(name), mode);
    for (auto at = text.find("\n\n\n"); at != std::string::npos; at = text.find("\n\n\n", at))
      text.erase(at, 1);
    return text;
  }

  std::string make_option_opts(const CLI::Option* option) const override {
    if (is_flag(*option) || is_argument(*option))
      return {};
    return ' ' + value_word(*option) + (may_repeat(*option) ? " ..." : "");
  }

  std::string make_option_desc(const CLI::Option* option) const override {
    return meaning_of(*option);
  }
};

/// What each verb of `troupe ca` does.
std::string notes_on_verbs() {
  std::string notes;
  for (auto& each : ca_verbs())
    notes += std::string{each.name} + ": " + std::string{each.does} + '\n';
  return notes + "See troupe ca VERB --help for the options of each.";
}

std::string with_example(const std::string& notes, std::string_view example) {
  return notes + (notes.empty() ? "" : "\n\n") + "Example:\n  " + std::string{example};
}

/// The command that was parsed, or the program.
const CLI::App& meant(const CLI::App& app) {
  auto parsed = app.get_subcommands();
  return parsed.empty() ? app : *parsed.front();
}

bool takes_arguments(const CLI::App& command) {
  return std::ranges::any_of(command.get_options(),
                             [](const CLI::Option* each) { return is_argument(*each); });
}

/// The options with two dashes.
std::vector<std::string> options_of(const CLI::App& command) {
  std::vector<std::string> known;
  for (auto* each : command.get_options())
    for (auto& name : each->get_lnames())
      known.push_back("--" + name);
  return known;
}

} // namespace

void arrange_help(CLI::App& app) {
  auto format = std::make_shared<help_format>();
  app.formatter(format);
  app.footer("See troupe help COMMAND for the options and an example of each command.");
  for (auto* command : app.get_subcommands({})) {
    command->formatter(format);
    auto found = std::ranges::find(examples, command->get_name(), &command_help::name);
    if (found == examples.end())
      continue;
    command->group(std::string{found->group});
    auto notes = found->name == "ca" ? notes_on_verbs() : std::string{found->notes};
    command->footer(with_example(notes, found->example));
  }
}

std::string help_of(const CLI::App& app, const std::string& name) {
  // app.help() would show the help of the command that was parsed.
  return name.empty()
           ? app.get_formatter()->make_help(&app, app.get_name(), CLI::AppFormatMode::Normal)
           : app.get_subcommand(name)->help(app.get_name());
}

std::string help_of_verb(const CLI::App& ca, const ca_verb& verb) {
  CLI::App page{std::string{verb.does}, std::string{verb.name}};
  page.formatter(ca.get_formatter());
  page.set_help_flag("-h,--help", ca.get_help_ptr()->get_description());
  std::string text;
  if (!verb.which.empty())
    page.add_option("WHICH", text, std::string{verb.which})->required();
  bool flag = false;
  for (auto* each : ca.get_options()) {
    if (is_argument(*each) || each == ca.get_help_ptr())
      continue;
    auto name = each->get_name();
    auto own = std::ranges::find(verb.options, name, &ca_option::name);
    auto is_taken = own != verb.options.end();
    if (!is_taken && !ca_verbs_with(name).empty())
      continue;
    auto meaning
      = is_taken && !own->meaning.empty() ? std::string{own->meaning} : each->get_description();
    if (is_flag(*each)) {
      page.add_flag(name, flag, meaning);
      continue;
    }
    page.add_option(name, text, meaning)
      ->option_text(is_taken && !own->value.empty() ? std::string{own->value} : value_word(*each))
      ->default_str(each->get_default_str());
  }
  page.footer(with_example({}, verb.example));
  return page.help("troupe " + ca.get_name());
}

std::string say_why(const CLI::ParseError& why) {
  std::string said = why.what();
  if (dynamic_cast<const CLI::ConversionError*>(&why) != nullptr) {
    // "Could not convert: --option = value"; of a flag, as numbers have checks of their own
    constexpr std::string_view before = "Could not convert: ";
    if (auto middle = said.find(" = "); said.starts_with(before) && middle != std::string::npos)
      said = said.substr(before.size(), middle - before.size()) + ": '" + said.substr(middle + 3)
             + "' is neither true nor false; write one of these";
  }
  if (dynamic_cast<const CLI::ArgumentMismatch*>(&why) != nullptr)
    if (auto end = said.find(": "); end != std::string::npos)
      said = said.substr(0, end)
             + (said.find("At Most") == std::string::npos ? " has no value"
                                                          : " is given more than once");
  return said;
}

problem explain(const CLI::App& app, const CLI::ParseError& why,
                const std::vector<std::string>& behind_mark) {
  auto& command = meant(app);
  auto is_option = [](const std::string& word) { return word.size() > 1 && word.starts_with('-'); };
  auto see
    = "; see troupe " + (&command == &app ? std::string{} : command.get_name() + ' ') + "--help";
  auto own_words = app.remaining();
  auto left = command.remaining();
  std::erase(left, "--");
  for (auto* words : {&left, &own_words})
    if (&command != &app && !words->empty()
        && std::ranges::find(behind_mark, words->front()) != behind_mark.end())
      return {errc::bad_argument,
              "'" + words->front() + "' is one word too many for troupe " + command.get_name()
                + "; no word behind -- is an option, so give options before it, see troupe "
                + command.get_name() + " --help"};
  if (auto own = std::ranges::find_if(own_words, is_option); own != own_words.end())
    return {errc::bad_argument,
            "'" + *own
              + "' is no option of troupe itself; give a command first, see troupe --help"};
  auto unknown = std::ranges::find_if(left, is_option);
  if (unknown != left.end()) {
    auto name = unknown->substr(0, unknown->find('='));
    auto close = close_to(name, options_of(command));
    auto help = "see troupe " + command.get_name() + " --help";
    return {errc::bad_argument,
            "'" + name + "' is no option of troupe " + command.get_name() + "; "
              + (close ? "the nearest one is " + *close + ", " + help : help + ", which lists them")
              + (takes_arguments(command) ? "; write -- before a word that is no option" : "")};
  }
  if (!left.empty())
    return {errc::bad_argument,
            "'" + left.front() + "' is one word too many for troupe " + command.get_name()
              + "; quote a text that has spaces, or see troupe " + command.get_name() + " --help"};
  return {errc::bad_argument, say_why(why) + see};
}

} // namespace cli
