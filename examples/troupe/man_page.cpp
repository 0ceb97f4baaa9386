#include <algorithm>
#include <cstddef>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "completion.hpp"
#include "option_words.hpp"

namespace cli {

namespace {

/// Escapes a text for man(7): hyphens stay minus signs, and no line begins a request.
std::string roff(std::string_view text) {
  std::string all;
  auto begins_line = true;
  for (auto each : text) {
    if (begins_line && (each == '.' || each == '\''))
      all += "\\&";
    begins_line = each == '\n';
    if (each == '\\')
      all += "\\e";
    else if (each == '-')
      all += "\\-";
    else if (each == '\'')
      all += "\\(aq";
    else if (each == '`')
      all += "\\(ga";
    else if (each == '~')
      all += "\\(ti";
    else if (each == '^')
      all += "\\(ha";
    else
      all += each;
  }
  return all;
}

std::string bold(std::string_view text) {
  return "\\fB" + roff(text) + "\\fR";
}

std::string italic(std::string_view text) {
  return "\\fI" + roff(text) + "\\fR";
}

/// "troupe voters [OPTIONS] [VERB] [NODE] [BY]"
std::string man_usage(const CLI::App& command) {
  auto text = bold("troupe " + command.get_name()) + " [" + italic("OPTIONS") + ']';
  for (auto* each : command.get_options([](const CLI::Option* one) { return is_argument(*one); })) {
    auto word = italic(value_word(*each));
    text += each->get_required() ? ' ' + word : " [" + word + ']';
  }
  return text;
}

/// "-h, --help" or "--at HOST:PORT ..."
std::string man_option_name(const CLI::Option& option) {
  if (is_argument(option))
    return italic(value_word(option));
  std::string text;
  for (auto& each : spellings_of(option))
    text += (text.empty() ? "" : ", ") + bold(each);
  if (!is_flag(option))
    text += ' ' + italic(value_word(option)) + (may_repeat(option) ? " ..." : "");
  return text;
}

/// The values of an option, unless its description has them.
std::string man_values(const CLI::Option& option) {
  constexpr std::size_t most = 12; // longer ones have a list elsewhere, such as that of commands
  auto values = fixed_values(option);
  auto meaning = option.get_description();
  auto is_said = [&](auto& each) { return meaning.find(each) != std::string::npos; };
  std::string all;
  if (values.size() <= most && !std::ranges::all_of(values, is_said))
    for (auto& each : values)
      all += (all.empty() ? "; one of " : ", ") + each;
  return all;
}

/// The arguments in their order, then the options.
std::string man_options(const CLI::App& command) {
  std::string text;
  for (auto arguments : {true, false})
    for (auto* each : command.get_options())
      if (is_argument(*each) == arguments)
        text += ".TP\n" + man_option_name(*each) + '\n'
                + roff(meaning_of(*each) + man_values(*each)) + '\n';
  return text;
}

/// The end of its help: notes and an example.
std::string man_footer(const CLI::App& command) {
  std::string text;
  auto footer = command.get_footer();
  auto example = footer.find("Example:\n  ");
  if (example == std::string::npos)
    return text;
  std::istringstream notes{footer.substr(0, example)};
  for (std::string line; std::getline(notes, line) && !line.empty();)
    text += (text.empty() ? ".PP\n" : ".br\n") + roff(line) + '\n';
  return text + ".PP\nExample:\n.PP\n.RS 4\n.nf\n"
         + roff(footer.substr(footer.find("\n  ", example) + 3)) + "\n.fi\n.RE\n";
}

constexpr std::string_view man_end = R"(.SH EXIT STATUS
.TP
.B 0
It did what it was told.
.TP
.B 1
It failed. A line on standard error that begins with "error:" says why and what to do. Of a workflow
that did not complete, the last line on standard output says why.
.TP
.B 2
The words of the command or a file that it reads are not valid.
.TP
.B 3
No answer came, no lock was obtained, or no run (\-\-within) or change of voters ended, in time. The
run or the change goes on.
.PP
.B troupe lock
ends with the status of the command that it runs. A signal ends
.BR submit " and " lock
with 128 plus its number.
.SH ENVIRONMENT
Each option of
.B troupe node
but
.BR \-\-help ,
.B \-\-json
and
.BR \-\-token ,
and
.B \-\-at
and
.B \-\-timeout
of the commands that ask a cluster, may also be given by a variable:
.B TROUPE_
and its name in capitals, with
.B _
for each hyphen, as in TROUPE_TIMEOUT.
A flag wins over a variable, a variable over the file of
.BR \-\-config .
.TP
.B TROUPE_CONFIG
The file to use where
.B \-\-config
is not given.
.TP
.B NO_COLOR
Where it is not empty,
.B troupe top
shows no colours.
.TP
.B TROUPE_TOKEN
Set by
.B troupe lock
for the command that it runs: the fencing token.
)";

} // namespace

std::string man_page_of(const CLI::App& app, const std::string& version) {
  auto page = ".\\\" As `troupe man` prints it.\n.TH TROUPE 1 \"\" " + roff("\"troupe " + version)
              + "\" \"User commands\"\n.SH NAME\ntroupe \\- networks of agents\n" + ".SH SYNOPSIS\n"
              + bold("troupe") + ' ' + italic("COMMAND") + " [" + italic("OPTIONS")
              + "] ...\n.SH DESCRIPTION\n" + roff(app.get_description()) + '\n' + man_options(app);
  std::vector<std::string> groups;
  for (auto* each : app.get_subcommands({}))
    if (std::ranges::find(groups, each->get_group()) == groups.end())
      groups.push_back(each->get_group());
  for (auto& group : groups) {
    page += ".SH " + roff("\"" + group) + "\"\n";
    for (auto* each : app.get_subcommands({}))
      if (each->get_group() == group)
        page += ".SS \"troupe " + roff(each->get_name()) + "\"\n" + man_usage(*each) + "\n.PP\n"
                + roff(each->get_description()) + ".\n" + man_options(*each) + man_footer(*each);
  }
  return page += man_end;
}

} // namespace cli
