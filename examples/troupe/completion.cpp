#include "completion.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <string_view>
#include <utility>

#include "option_words.hpp"
#include "wording.hpp"

namespace cli {

namespace {

using strings = std::vector<std::string>;

std::string joined(const strings& words, std::string_view between = " ") {
  std::string all;
  for (auto& each : words)
    all += (all.empty() ? "" : std::string{between}) + each;
  return all;
}

std::string with_escapes(std::string text, std::string_view which, std::string_view escape) {
  for (std::size_t at = 0; (at = text.find_first_of(which, at)) != std::string::npos;
       at += escape.size() + 1)
    text.insert(at, escape);
  return text;
}

bool is_file(const CLI::Option& option) {
  auto word = value_word(option);
  return word == "FILE" || word == "FILE|FOLDER";
}

bool is_folder(const CLI::Option& option) {
  return value_word(option) == "FOLDER";
}

/// The options of troupe itself.
strings spellings_of_all(const CLI::App& app) {
  strings found;
  for (auto* each : app.get_options())
    for (auto& name : spellings_of(*each))
      found.push_back(name);
  return found;
}

std::vector<const CLI::Option*> arguments_of(const CLI::App& command) {
  return command.get_options([](const CLI::Option* each) { return is_argument(*each); });
}

strings names_of(const CLI::App& app) {
  strings names;
  for (auto* each : app.get_subcommands({}))
    names.push_back(each->get_name());
  return names;
}

/// `lock` runs the words after "--" as a command of their own.
bool runs_command(const CLI::App& command) {
  return command.get_name() == "lock";
}

// -- bash ------------------------------------------------------------------------------

/// The values of `option`, in the syntax of the script; empty: unknown.
std::string bash_values(const CLI::Option& option) {
  if (auto values = fixed_values(option); !values.empty())
    return "words=" + shell_quoted(joined(values));
  return is_file(option) ? "kind=file" : is_folder(option) ? "kind=folder" : "";
}

std::string bash_case(const CLI::App& command) {
  strings valued;
  std::string cases;
  for (auto* each : command.get_options()) {
    if (is_argument(*each) || is_flag(*each))
      continue;
    auto names = spellings_of(*each);
    valued.insert(valued.end(), names.begin(), names.end());
    if (auto values = bash_values(*each); !values.empty())
      cases += "        " + joined(names, "|") + ") " + values + " ;;\n";
  }
  auto arguments = arguments_of(command);
  for (std::size_t place = 0; place < arguments.size(); ++place)
    if (auto values = bash_values(*arguments[place]); !values.empty())
      cases += "        " + std::to_string(place) + ") " + values + " ;;\n";
  return "    " + command.get_name()
         + ")\n      options=" + shell_quoted(joined(spellings_of_all(command)))
         + "\n      valued=" + shell_quoted(joined(valued)) + "\n"
         + (cases.empty() ? "" : "      case ${before:-$place} in\n" + cases + "      esac\n")
         + "      ;;\n";
}

constexpr std::string_view bash_begin
  = R"(# Completion of the command troupe by bash, as `troupe completion bash` prints it.

# The arguments of `command`: sets `options`, those of them with a value, and the possible words
# after `before`, or as argument number `place` if `before` is empty.
_troupe_words() {
  options= valued= words= kind=
  case $command in
)";

constexpr std::string_view bash_end = R"(  esac
}

_troupe() {
  local IFS=$' \t\n' # the default, whatever the user has set
  local word=${COMP_WORDS[COMP_CWORD]} command= before= ended= place=0
  local options= valued= words= kind= i each
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; ++i)); do
    each=${COMP_WORDS[i]}
    [[ $each == = ]] && continue # of --name=value, which bash splits into three words
    if [[ -n $each && -z ${each//:/} ]]; then # of HOST:PORT or [::1]:PORT
      ((++i))
      continue
    fi
    if [[ -n $ended ]]; then
      ended=more
    elif [[ -n $before ]]; then
      before=
    elif [[ $each == -- ]]; then
      ended=first
    elif [[ $each == -* ]]; then
      [[ " $valued " == *" $each "* ]] && before=$each
    elif [[ -z $command ]]; then
      command=$each
      _troupe_words
    else
      ((++place))
    fi
  done
  for each in "$word" "${COMP_WORDS[COMP_CWORD - 1]}"; do
    [[ -n $each && -z ${each//:/} ]] && return 0
  done
  [[ $word == = ]] && word=
  _troupe_words
  if [[ -n $ended ]]; then
    [[ $command == lock ]] || return 0
    [[ $ended == first ]] && kind=program || kind=file
    words=
  elif [[ -z $before && $word == -* ]]; then
    words=$options kind=
  fi
  case $kind in
    file) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
    folder) mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
    program) mapfile -t COMPREPLY < <(compgen -c -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word") ;;
  esac
  # Fails if no key was pressed, as in a test.
  [[ -z $kind ]] || compopt -o filenames 2> /dev/null
  return 0
}

complete -F _troupe troupe
)";

std::string bash_script(const CLI::App& app) {
  std::string script{bash_begin};
  script += "    '')\n      options=" + shell_quoted(joined(spellings_of_all(app)))
            + "\n      words=" + shell_quoted(joined(names_of(app))) + "\n      ;;\n";
  for (auto* each : app.get_subcommands({}))
    script += bash_case(*each);
  return script += bash_end;
}

// -- zsh -------------------------------------------------------------------------------

/// Escapes a text for a specification of _arguments.
std::string zsh_text(const std::string& text) {
  return with_escapes(text, "\\[]:", "\\");
}

/// ":what:how", with which _arguments completes a value.
std::string zsh_value(const CLI::Option& option) {
  auto values = fixed_values(option);
  auto how = !values.empty()     ? '(' + joined(values) + ')'
             : is_file(option)   ? "_files"
             : is_folder(option) ? "_files -/"
                                 : " ";
  return ':' + zsh_text(value_word(option)) + ':' + how;
}

std::string zsh_options(const CLI::App& command) {
  std::string lines;
  auto add = [&](const std::string& line) { lines += " \\\n        " + shell_quoted(line); };
  for (auto* each : command.get_options()) {
    if (is_argument(*each))
      continue;
    auto meaning = '[' + zsh_text(each->get_description()) + ']';
    for (auto& name : spellings_of(*each))
      add((may_repeat(*each) ? "*" : "") + name
          + (is_flag(*each) ? meaning : '=' + meaning + zsh_value(*each)));
  }
  auto arguments = arguments_of(command);
  for (std::size_t place = 0; place < arguments.size(); ++place)
    add(std::to_string(place + 1) + (arguments[place]->get_required() ? "" : ":")
        + zsh_value(*arguments[place]));
  if (runs_command(command))
    add("*::COMMAND:_troupe_program");
  return lines;
}

std::string zsh_script(const CLI::App& app) {
  std::string script = "#compdef troupe\n"
                       "# Completion of the command troupe by zsh, as `troupe completion zsh` "
                       "prints it.\n\n"
                       "# The words after -- are a command of their own.\n"
                       "_troupe_program() {\n"
                       "  local before=${words[(i)--]}\n"
                       "  shift before words\n"
                       "  (( CURRENT -= before ))\n"
                       "  _normal\n"
                       "}\n\n"
                       "_troupe() {\n"
                       "  local -a commands=(\n";
  for (auto* each : app.get_subcommands({}))
    script
      += "    "
         + shell_quoted(with_escapes(each->get_name(), "\\:", "\\") + ':' + each->get_description())
         + '\n';
  script += "  )\n"
            "  if (( CURRENT == 2 )); then\n"
            "    if [[ $PREFIX == -* ]]; then\n"
            "      _arguments"
            + zsh_options(app)
            + "\n"
              "    else\n"
              "      _describe -t commands 'command of troupe' commands\n"
              "    fi\n"
              "    return\n"
              "  fi\n"
              "  local command=$words[2]\n"
              "  shift words\n"
              "  (( CURRENT-- ))\n"
              "  case $command in\n";
  for (auto* each : app.get_subcommands({}))
    script
      += "    " + each->get_name() + ")\n      _arguments -S" + zsh_options(*each) + "\n      ;;\n";
  return script += "  esac\n"
                   "}\n\n"
                   "# Needed if this script is sourced instead of loaded at its first use.\n"
                   "if [[ $funcstack[1] == _troupe ]]; then\n"
                   "  _troupe \"$@\"\n"
                   "elif (( $+functions[compdef] )); then\n"
                   "  compdef _troupe troupe\n"
                   "else\n"
                   "  print -u2 'error: the completion of troupe needs that of zsh; put autoload "
                   "-Uz compinit && compinit before it'\n"
                   "fi\n";
}

// -- fish ------------------------------------------------------------------------------

std::string fish_quoted(const std::string& text) {
  return '\'' + with_escapes(text, "\\'", "\\") + '\'';
}

constexpr std::string_view fish_begin
  = R"(# Completion of the command troupe by fish, as `troupe completion fish` prints it.

# Whether the command is $argv[1]; without arguments: whether no command was typed yet.
function __troupe_command
    set -l words (commandline -opc)
    if not set -q argv[1]
        test (count $words) -eq 1
        return
    end
    test (count $words) -gt 1; and test $words[2] = $argv[1]
end

# Whether the next word is argument number $argv[2] of command $argv[1]. The other arguments are its
# options that have a value.
function __troupe_place
    __troupe_command $argv[1]; or return
    set -l words (commandline -opc)
    set -l place 0
    set -l is_value 0
    for each in $words[3..]
        if test $is_value -eq 1
            set is_value 0
        else if contains -- $each $argv[3..]
            set is_value 1
        else if not string match -q -- '-*' $each
            set place (math $place + 1)
        end
    end
    test $is_value -eq 0; and test $place -eq $argv[2]
end

# Whether the next word is the program after --.
function __troupe_program_to_run
    set -l words (commandline -opc)
    test $words[-1] = --
end

# Whether the next word is an argument of that program.
function __troupe_word_to_run
    set -l words (commandline -opc)
    test $words[-1] != --; and contains -- -- $words
end

complete -c troupe -f
)";

/// Words, files or folders; empty if the values are unknown.
std::string fish_values(const CLI::Option& option) {
  if (auto values = fixed_values(option); !values.empty())
    return " -a " + fish_quoted(joined(values));
  return is_file(option) ? " -F" : is_folder(option) ? " -a '(__fish_complete_directories)'" : "";
}

std::string fish_options(const CLI::App& command, const std::string& condition) {
  std::string lines;
  for (auto* each : command.get_options()) {
    if (is_argument(*each))
      continue;
    lines += "complete -c troupe -n " + fish_quoted(condition);
    for (auto& name : each->get_snames())
      lines += " -s " + name;
    for (auto& name : each->get_lnames())
      lines += " -l " + name;
    if (!is_flag(*each))
      lines += (is_file(*each) ? " -r" : " -x") + fish_values(*each);
    lines += " -d " + fish_quoted(each->get_description()) + '\n';
  }
  return lines;
}

std::string fish_arguments(const CLI::App& command) {
  std::string lines;
  strings valued;
  for (auto* each : command.get_options())
    if (!is_argument(*each) && !is_flag(*each))
      for (auto& name : spellings_of(*each))
        valued.push_back(name);
  auto arguments = arguments_of(command);
  for (std::size_t place = 0; place < arguments.size(); ++place)
    if (auto values = fish_values(*arguments[place]); !values.empty())
      lines += "complete -c troupe -n "
               + fish_quoted("__troupe_place " + command.get_name() + ' ' + std::to_string(place)
                             + ' ' + joined(valued))
               + values + '\n';
  if (runs_command(command))
    for (auto [which, how] :
         {std::pair{"program", " -a '(__fish_complete_command)'"}, {"word", " -F"}})
      lines += "complete -c troupe -n "
               + fish_quoted("__troupe_command " + command.get_name() + "; and __troupe_" + which
                             + "_to_run")
               + how + '\n';
  return lines;
}

std::string fish_script(const CLI::App& app) {
  std::string script{fish_begin};
  script += fish_options(app, "__troupe_command");
  for (auto* each : app.get_subcommands({}))
    script += "\ncomplete -c troupe -n __troupe_command -a " + each->get_name() + " -d "
              + fish_quoted(each->get_description()) + '\n'
              + fish_options(*each, "__troupe_command " + each->get_name()) + fish_arguments(*each);
  return script;
}

// -- all of them -----------------------------------------------------------------------

using script_maker = std::string (*)(const CLI::App&);

constexpr std::array makers{std::pair<std::string_view, script_maker>{"bash", bash_script},
                            std::pair<std::string_view, script_maker>{"zsh", zsh_script},
                            std::pair<std::string_view, script_maker>{"fish", fish_script}};

} // namespace

std::vector<std::string> completed_shells() {
  strings names;
  for (auto& [name, make] : makers)
    names.emplace_back(name);
  return names;
}

std::string completion_of(const CLI::App& app, const std::string& shell) {
  return std::ranges::find(makers, shell, [](auto& each) { return each.first; })->second(app);
}

} // namespace cli
