// The live view of a cluster.

#include "../../examples/troupe/terminal.hpp"
#include "../../examples/troupe/top_screen.hpp"
#include "../../examples/troupe/watched_runs.hpp"
#include "support/pseudo_terminal.hpp"
#include "three_voters.hpp"

#include <cstddef>
#include <functional>
#include <map>

namespace top_test {

using namespace troupe;
using namespace troupe::test;

namespace {

using frame_lines = std::vector<std::string>;

/// Letters of two columns, which these tests use.
constexpr auto ideograph = "\xe6\xbc\xa2";
constexpr auto face = "\xf0\x9f\x98\x80";

/// How many columns of a terminal a line takes.
std::size_t width_of(const std::string& line) {
  auto letters = static_cast<std::size_t>(std::ranges::count_if(
    line, [](char each) { return (static_cast<unsigned char>(each) & 0xc0U) != 0x80U; }));
  for (std::string wide : {ideograph, face})
    for (auto at = line.find(wide); at != std::string::npos; at = line.find(wide, at + 1))
      ++letters;
  return letters;
}

bool fits(const frame_lines& lines, std::size_t rows, std::size_t columns) {
  return !lines.empty() && lines.size() <= rows
         && std::ranges::all_of(lines, [&](auto& each) { return width_of(each) <= columns; });
}

bool has(const frame_lines& lines, const std::string& text) {
  return std::ranges::any_of(lines,
                             [&](auto& each) { return each.find(text) != std::string::npos; });
}

std::string text_of(const frame_lines& lines) {
  std::string all;
  for (auto& each : lines)
    all += each + '\n';
  return all;
}

words top_of(const std::string& address, const words& more = {}) {
  // SIGHUP is ignored where the tests are run by nohup.
  words command{
    "/usr/bin/env", "--default-signal=HUP", command_path(), "top", "--at", address, "--every",
    "100ms"};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

/// At a terminal of 24 lines with 80 columns, with the first frame.
class running_top : public program_at_terminal {
public:
  explicit running_top(const std::string& address, const words& more = {})
    : program_at_terminal(top_of(address, more), 24, 80) {
    auto is_there = shows("Runs (");
    INFO(output());
    REQUIRE(is_there);
  }

  /// It ended so, and left the terminal as it was.
  void must_have_ended(int status) {
    auto ended = wait_for_end();
    INFO(output());
    CHECK(ended == status);
    CHECK(is_as_before());
    CHECK(output().find("\x1b[?25h", output().rfind("\x1b[?25l")) != std::string::npos);
    CHECK(output().find("\x1b[?1049l", output().rfind("\x1b[?1049h")) != std::string::npos);
    CHECK(output().find("\x1b[?7h", output().rfind("\x1b[?7l")) != std::string::npos);
  }
};

running_node lone_node(const std::string& listen = "127.0.0.1:0") {
  need_command();
  return running_node{
    {"--name", "a node with quite a long name, which has to be cut somewhere", "--slots", "2"},
    listen};
}

/// Three panes with so many rows each.
cli::screen_content content(std::size_t rows, const std::string& cell = "cell") {
  cli::screen_content made;
  made.heading = {"first", "second"};
  for (auto* title : {"Nodes", "Workers", "Runs"}) {
    cli::top_pane each{title, {"NAME", "STATE"}, {}};
    for (std::size_t row = 0; row < rows; ++row)
      each.rows.push_back({{title + std::to_string(row), cell}});
    made.panes.push_back(std::move(each));
  }
  return made;
}

} // namespace

TEST_CASE("top fits a terminal of 24 lines with 80 columns, and shows nodes, workers and runs",
          "[cluster][cli]") {
  auto node = lone_node();
  running_top top{node.address()};
  CHECK_FALSE(top.is_as_before()); // keys come at once
  submitted_diamond flow{node.address(), 30, 2, {"--time-scale", "0.3"}};
  REQUIRE(top.shows("[################] 2/2"));
  REQUIRE(top.draws([](auto& lines) { return has(lines, "[#") && has(lines, "diamond"); }));
  auto lines = top.frame();
  INFO(text_of(lines));
  CHECK(lines.size() == 24);
  CHECK(fits(lines, 24, 80));
  CHECK(has(lines, "leader a node"));
  CHECK(has(lines, "Nodes (1)"));
  CHECK(has(lines, "Workers (1)"));
  CHECK(has(lines, "> Runs (1)"));
  CHECK(has(lines, node.address()));
  CHECK(has(lines, "/32 ["));        // the bar may be cut, the count not
  REQUIRE(top.draws([](auto& each) { // tasks end, which is a rate
    return has(each, "tasks ") && !has(each, "tasks -/s") && !has(each, "tasks 0.0/s");
  }));
  flow.must_complete();
  CHECK(top.draws([](auto& each) { return has(each, "completed") && has(each, "32/32"); }));
}

TEST_CASE("top leaves the terminal as it was, however it ends", "[cluster][cli]") {
  auto node = lone_node();
  {
    running_top top{node.address()};
    top.press("q");
    top.must_have_ended(0);
  }
  {
    running_top top{node.address()};
    top.press("\x03"); // Ctrl-C
    top.must_have_ended(130);
  }
  {
    running_top top{node.address()};
    top.send_signal(SIGTERM);
    top.must_have_ended(143);
  }
  {
    running_top top{node.address()};
    top.press("\x1c"); // Ctrl-backslash
    top.must_have_ended(131);
  }
  running_top top{node.address()};
  top.send_signal(SIGHUP);
  top.must_have_ended(129);
}

TEST_CASE("top is stopped by Ctrl-Z, leaves the terminal as it was meanwhile, and goes on",
          "[cluster][cli]") {
  auto node = lone_node();
  // A shell that has jobs: it goes on when top stops, and waits for a line.
  program_at_terminal shell{{"/bin/bash", "-mc",
                             command_path() + " top --every 100ms --at " + node.address()
                               + "; echo stopped $?; read line; fg; echo ended $?"},
                            24,
                            80};
  REQUIRE(shell.shows("Runs ("));
  CHECK_FALSE(shell.is_as_before());
  shell.press("\x1a");
  auto is_stopped = shell.writes("stopped 148");
  INFO(shell.output());
  REQUIRE(is_stopped);
  CHECK(shell.is_as_before());
  shell.press("\n");
  CHECK(comes_true([&] {
    shell.draws([](auto&) { return false; }, 10ms);
    return !shell.is_as_before();
  }));
  shell.press("q");
  CHECK(shell.writes("ended 0"));
  CHECK(shell.wait_for_end() == 0);
}

TEST_CASE("Ctrl-Z does not stop top where no shell could continue it", "[cluster][cli]") {
  auto node = lone_node();
  running_top top{node.address()};
  top.press("\x1a");
  top.press("p");
  CHECK(top.shows("PAUSED"));
  top.press("q");
  top.must_have_ended(0);
}

TEST_CASE("top ends also while its terminal takes no output, or is gone", "[cluster][cli]") {
  auto node = lone_node();
  for (auto number : {SIGTERM, SIGINT}) {
    running_top top{node.address()};
    top.press("\x13"); // Ctrl-S
    // Some frames later it waits for the terminal.
    CHECK_FALSE(top.draws([](auto&) { return false; }, 500ms));
    top.send_signal(number);
    top.must_have_ended(128 + number);
  }
  {
    running_top top{node.address()};
    CHECK_FALSE(top.draws([](auto&) { return false; }, 300ms));
    top.hang_up();
    CHECK(top.wait_for_end() == 129);
  }
}

TEST_CASE("top says whom it asks while there is no answer yet", "[cluster][cli]") {
  auto node = lone_node();
  node.process().send_signal(SIGSTOP);
  program_at_terminal top{top_of(node.address(), {"--timeout", "1m"}), 24, 80};
  CHECK(top.writes("asks " + node.address() + "; Ctrl-C ends it"));
  CHECK(top.is_as_before());
  top.press("\x03");
  CHECK(top.wait_for_end() == 130);
  node.process().send_signal(SIGCONT);
}

TEST_CASE("top has no colours where NO_COLOR is not empty", "[cluster][cli]") {
  auto node = lone_node();
  for (std::string value : {"", "1"}) {
    auto command = top_of(node.address());
    command.insert(command.begin(), {"/usr/bin/env", "NO_COLOR=" + value});
    program_at_terminal top{command, 24, 80};
    REQUIRE(top.shows("Runs ("));
    INFO(value);
    CHECK((top.output().find("\x1b[2m") != std::string::npos) == value.empty());
    top.press("q");
    CHECK(top.wait_for_end() == 0);
  }
}

TEST_CASE("top follows the size of its terminal", "[cluster][cli]") {
  auto node = lone_node();
  running_top top{node.address()};
  for (auto [rows, columns] : {std::pair{12, 50}, {4, 20}, {1, 1}, {40, 200}}) {
    top.resize(rows, columns);
    auto is_it = top.draws([&](auto& lines) {
      return lines.size() == static_cast<std::size_t>(rows)
             && fits(lines, static_cast<std::size_t>(rows), static_cast<std::size_t>(columns));
    });
    INFO(rows << " rows, " << columns << " columns\n" << text_of(top.frame()));
    CHECK(is_it);
  }
  CHECK(top.shows("which has to be cut somewhere")); // there is room now
}

TEST_CASE("top goes on when the node is gone, says so, and finds it again", "[cluster][cli]") {
  auto node = lone_node();
  running_top top{node.address(), {"--timeout", "1s"}};
  node.kill();
  CHECK(top.shows("no answer since "));
  CHECK(top.shows("Nodes (1)")); // what was seen last
  CHECK(fits(top.frame(), 24, 80));
  auto again = lone_node(node.address());
  CHECK(top.draws([](auto& lines) { return !lines.empty() && !has(lines, "no answer since "); }));
  top.press("q");
  top.must_have_ended(0);
}

TEST_CASE("top is ended by its keys also while no node answers", "[cluster][cli]") {
  auto node = lone_node();
  running_top top{node.address(), {"--timeout", "1m"}};
  node.process().send_signal(SIGSTOP);
  top.press("p");
  CHECK(top.shows("PAUSED"));
  top.press("q");
  top.must_have_ended(0);
  node.process().send_signal(SIGCONT);
}

TEST_CASE("top is paused, and its panes are changed by keys", "[cluster][cli]") {
  auto node = lone_node();
  running_top top{node.address()};
  top.press("p");
  CHECK(top.shows("PAUSED"));
  top.press("p");
  CHECK(top.draws([](auto& lines) { return !lines.empty() && !has(lines, "PAUSED"); }));
  CHECK(top.shows("> Runs"));
  top.press("\t");
  CHECK(top.shows("> Nodes"));
  top.press("\x1b[C"); // right
  CHECK(top.shows("> Workers"));
  top.press("\x1b[D\x1b[D"); // left
  CHECK(top.shows("> Runs"));
  top.press("\x1b[1;5H?\xff"); // keys that mean nothing
  top.press("\t");
  CHECK(top.shows("> Nodes"));
}

TEST_CASE("top prints one plain frame where it has no terminal, or is told so", "[cluster][cli]") {
  auto node = lone_node();
  for (const words& more : {words{}, words{"--once"}}) {
    words command{"top", "--at", node.address()};
    command.insert(command.end(), more.begin(), more.end());
    auto done = run(command);
    INFO(done);
    CHECK(done.status == 0);
    CHECK(done.says("a node with quite a long name, which has to be cut somewhere"));
    CHECK(done.says("Workers (1)"));
    CHECK_FALSE(done.says("\x1b"));
    CHECK_FALSE(done.says("q quit"));
  }
}

TEST_CASE("top prints an object each time it looks under --json", "[cluster][cli]") {
  auto node = lone_node();
  auto once = run({"top", "--json", "--once", "--at", node.address()});
  INFO(once);
  CHECK(once.status == 0);
  REQUIRE(once.lines().size() == 1);
  CHECK(once.line()["members"].size() == 1);
  CHECK(once.line()["worker_list"][0]["slots"] == 2);
  CHECK(once.line()["run_list"].empty());
  CHECK(once.line()["tasks_per_s"].is_null());
  auto ticks = start({"top", "--json", "--every", "100ms", "--at", node.address()});
  for (auto each : {0, 1, 2}) {
    auto line = json::parse(ticks.read_line().value_or(""), nullptr, false);
    INFO(line.dump());
    REQUIRE(line.is_object());
    CHECK(line["tasks_per_s"].is_null() == (each == 0));
    CHECK(line["leader"].is_string());
  }
  ticks.send_signal(SIGTERM);
  CHECK(ticks.wait_for_end() == 143);
}

TEST_CASE("top says why it could not print, and ends where there is no cluster", "[cluster][cli]") {
  auto node = lone_node();
  for (const words& more : {words{"--json", "--once"}, words{"--json"}, words{}}) {
    words command{"/bin/sh",      "-c",  "exec \"$0\" \"$@\" 2>&1 >/dev/full",
                  command_path(), "top", "--at",
                  node.address()};
    command.insert(command.end(), more.begin(), more.end());
    troupe::testing::child_process process{command};
    auto done = finish(process);
    INFO(done);
    CHECK(done.status == 1);
    CHECK(done.says("the output could not be written; see whether the disk is full"));
  }
  auto away = run({"top", "--json", "--at", "127.0.0.1:1", "--timeout", "500ms"});
  INFO(away);
  CHECK(away.status == 1);
  CHECK(away.line()["event"] == "error");
}

TEST_CASE("top shows who leads and who votes", "[cluster][cli]") {
  need_command();
  three_voters voters;
  REQUIRE(comes_true([&] { return voters.is_whole(); }));
  auto done = run({"top", "--once", "--at", voters.addresses()});
  INFO(done);
  CHECK(done.status == 0);
  std::map<std::string, int> roles;
  std::istringstream text{done.output};
  for (std::string line; std::getline(text, line);)
    for (std::string role : {" leader ", " voter ", " learner "})
      if (line.starts_with("  ") && line.find(role) != std::string::npos)
        ++roles[role];
  CHECK(roles[" leader "] == 1);
  CHECK(roles[" voter "] == 2);
  CHECK(roles[" learner "] == 0);
}

TEST_CASE("top refuses what it cannot do before it touches the terminal", "[cluster][cli]") {
  need_command();
  for (auto* span : {"1ms", "soon", "2h"}) {
    auto done = run({"top", "--every", span});
    INFO(done);
    CHECK(done.status == 2);
    CHECK(done.says("error: --every: '"s + span + "' is not a span from 100ms to 1h; "));
  }
  program_at_terminal top{top_of("127.0.0.1:1", {"--timeout", "1s"}), 24, 80};
  CHECK(top.wait_for_end() == 1);
  CHECK(top.output().find("error: ") != std::string::npos);
  CHECK(top.output().find('\x1b') == std::string::npos);
  CHECK(top.is_as_before());
}

TEST_CASE("the pane that is active has most room, and is scrolled to its last row",
          "[cluster][cli]") {
  cli::top_screen screen;
  auto all = content(100);
  auto lines = screen.lines(all, {24, 80}, false);
  INFO(text_of(lines));
  CHECK(lines.size() == 24);
  CHECK(has(lines, "> Runs (100), 1 to 11"));
  CHECK(has(lines, "  Nodes (100), 1 to 2"));
  CHECK(has(lines, "Runs10"));
  screen.scroll(1);
  CHECK(has(screen.lines(all, {24, 80}, false), "Runs (100), 2 to 12"));
  screen.scroll(1'000);
  lines = screen.lines(all, {24, 80}, false);
  CHECK(has(lines, "Runs (100), 90 to 100"));
  CHECK(has(lines, "Runs99"));
  screen.scroll(-1); // from the end at once
  CHECK(has(screen.lines(all, {24, 80}, false), "Runs (100), 89 to 99"));
  screen.scroll(-1'000);
  CHECK(has(screen.lines(all, {24, 80}, false), "Runs (100), 1 to 11"));
  screen.next_pane();
  lines = screen.lines(all, {24, 80}, false);
  CHECK(has(lines, "> Nodes (100), 1 to 11"));
  CHECK(has(lines, "  Runs (100), 1 to 2"));
  lines = screen.lines(all, {10, 80}, false); // no room for three
  CHECK(has(lines, "> Nodes (100), 1 to 5"));
  CHECK_FALSE(has(lines, "Runs"));
}

TEST_CASE("a warning is the second line, and the last has the keys, however few there are",
          "[cluster][cli]") {
  cli::top_screen screen;
  auto all = content(5);
  all.heading = {"first", "second", "third", "fourth", "fifth"};
  all.warning = "no answer since 3 s";
  for (std::size_t rows : {3U, 4U, 5U, 6U, 24U}) {
    auto lines = screen.lines(all, {rows, 80}, false);
    INFO(text_of(lines));
    REQUIRE(lines.size() == rows);
    CHECK(lines[0] == "first");
    CHECK(lines[1] == all.warning);
    CHECK(lines.back() == "q quit   p pause   Tab next pane   arrows, PgUp, PgDn scroll");
  }
  for (auto [columns, keys] : {std::pair{59U, "q quit   p pause   Tab next pane"},
                               {20U, "q quit   p pause"},
                               {7U, "q quit"}})
    CHECK(screen.lines(all, {24, columns}, false).back() == keys);
}

TEST_CASE("each spelling of a key has its meaning", "[cluster][cli]") {
  using cli::top_key;
  std::string typed;
  std::vector<top_key> meant;
  for (auto [text, meaning] : {std::pair{"\x1b[A", top_key::up},
                               {"\x1bOA", top_key::up},
                               {"k", top_key::up},
                               {"\x1b[B", top_key::down},
                               {"\x1bOB", top_key::down},
                               {"j", top_key::down},
                               {"\x1b[C", top_key::next_pane},
                               {"\x1bOC", top_key::next_pane},
                               {"\t", top_key::next_pane},
                               {"\x1b[D", top_key::previous_pane},
                               {"\x1bOD", top_key::previous_pane},
                               {"\x1b[Z", top_key::previous_pane},
                               {"\x1b[5~", top_key::page_up},
                               {"\x1b[6~", top_key::page_down},
                               {"p", top_key::pause},
                               {"P", top_key::pause},
                               {"q", top_key::quit},
                               {"Q", top_key::quit},
                               {"\x1b[1;5A", top_key::none},
                               {"\x1b[15~", top_key::none},
                               {"x", top_key::none}}) {
    typed += text;
    meant.push_back(meaning);
  }
  for (auto each : meant) {
    INFO(typed);
    CHECK(cli::take_key(typed) == each);
  }
  CHECK(typed.empty());
}

namespace {

/// A scheduler whose runs a test moves between two questions.
struct moving_runs {
  std::map<std::uint64_t, scheduler::run_state> runs{};
  /// What happens before question number 1, 2, …
  std::map<int, std::function<void()>> before{};
  int questions = 0;
  /// The question that gets no answer.
  int fails_at = 0;

  bool begin_question() {
    if (auto found = before.find(++questions); found != before.end())
      found->second();
    return questions != fails_at;
  }

  static scheduler::run_view view(std::uint64_t number, scheduler::run_state state) {
    scheduler::run_view made;
    made.run = scheduler::run_id{number};
    made.state = state;
    return made;
  }

  result<scheduler::run_list> ask(const scheduler::list_runs& question, duration) {
    if (!begin_question())
      return problem{errc::unreachable, "no answer"};
    scheduler::run_list page;
    for (auto& [number, state] : runs)
      if (number > question.after.value && (!question.state || *question.state == state))
        page.runs.push_back(view(number, state));
    return page;
  }

  result<scheduler::run_details> ask(const scheduler::find_run& question, duration) {
    if (!begin_question())
      return problem{errc::unreachable, "no answer"};
    auto found = runs.find(question.run.value);
    if (found == runs.end())
      return problem{errc::not_found, "no such run"};
    scheduler::run_details details;
    details.run = view(found->first, found->second);
    return details;
  }

  /// What is shown: numbers with states.
  std::vector<std::pair<std::uint64_t, scheduler::run_state>> look(cli::watched_runs& watched) {
    questions = 0;
    std::vector<std::pair<std::uint64_t, scheduler::run_state>> shown;
    if (auto all = watched.look(*this, 1s))
      for (auto& each : *all)
        shown.emplace_back(each.run.value, each.state);
    before.clear();
    fails_at = 0;
    return shown;
  }
};

using shown_runs = std::vector<std::pair<std::uint64_t, scheduler::run_state>>;

} // namespace

TEST_CASE("runs that wait, are paused or are undone are shown, and those that ended behind them",
          "[cluster][cli]") {
  using scheduler::run_state;
  moving_runs all{{{1, run_state::paused},
                   {2, run_state::running},
                   {3, run_state::waiting},
                   {4, run_state::compensating},
                   {5, run_state::completed}}};
  cli::watched_runs watched;
  CHECK(all.look(watched)
        == shown_runs{{1, run_state::paused},
                      {2, run_state::running},
                      {3, run_state::waiting},
                      {4, run_state::compensating}});
  all.runs[2] = run_state::failed;
  all.look(watched);
  all.runs[1] = run_state::cancelled;
  all.runs.erase(3); // forgotten
  for (auto each : {0, 1}) {
    INFO(each);
    CHECK(all.look(watched)
          == shown_runs{
            {4, run_state::compensating}, {1, run_state::cancelled}, {2, run_state::failed}});
  }
}

TEST_CASE("a run that changes its state between two questions is shown once, and not as ended",
          "[cluster][cli]") {
  using scheduler::run_state;
  moving_runs all{{{1, run_state::paused}, {2, run_state::running}}};
  cli::watched_runs watched;
  all.look(watched);
  // Questions: running (2 of them, as there is one), waiting, paused (2), compensating.
  all.before[3] = [&] { all.runs[1] = run_state::running; }; // resumed when the running were listed
  CHECK(all.look(watched) == shown_runs{{1, run_state::running}, {2, run_state::running}});
  all.before[3] = [&] { all.runs[2] = run_state::paused; };
  CHECK(all.look(watched) == shown_runs{{1, run_state::running}, {2, run_state::paused}});
  all.runs[1] = run_state::completed;
  CHECK(all.look(watched) == shown_runs{{2, run_state::paused}, {1, run_state::completed}});
}

TEST_CASE("where an answer is missing no run is forgotten", "[cluster][cli]") {
  using scheduler::run_state;
  moving_runs all{{{1, run_state::running}, {2, run_state::running}, {3, run_state::running}}};
  cli::watched_runs watched;
  all.look(watched);
  for (auto& [number, state] : all.runs)
    state = run_state::completed;
  all.fails_at = 6; // four lists without a run, and the second that is asked for
  CHECK(all.look(watched).empty());
  CHECK(
    all.look(watched)
    == shown_runs{{3, run_state::completed}, {2, run_state::completed}, {1, run_state::completed}});
}

TEST_CASE("no text makes a line too wide, or reaches the terminal as a command", "[cluster][cli]") {
  cli::top_screen screen;
  std::string wide;
  for (auto each = 0; each < 60; ++each)
    wide += ideograph;
  for (auto& text : {std::string(300, 'x'), "\x1b[2J\x1b]0;title\x07"s, wide, "\xff\xfe broken"s,
                     face + std::string(90, ' ') + face})
    for (std::size_t rows : {1U, 2U, 5U, 24U})
      for (std::size_t columns : {1U, 2U, 7U, 33U, 80U}) {
        auto all = content(5, text);
        all.heading.push_back(text);
        all.warning = text;
        auto lines = screen.lines(all, {rows, columns}, false);
        INFO(text << ", " << rows << ", " << columns << '\n' << text_of(lines));
        CHECK(lines.size() == rows);
        CHECK(fits(lines, rows, columns));
        CHECK(text_of(lines).find('\x1b') == std::string::npos);
      }
}

} // namespace top_test
