// Workflows as pictures.

#include "troupe_command.hpp"

#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <cstddef>
#include <sys/stat.h>

namespace drawing_test {

using namespace troupe::test;
using Catch::Matchers::ContainsSubstring;

namespace {

/// A workflow in a folder, and a folder of its own for the program dot.
class drawn_workflow {
public:
  explicit drawn_workflow(const std::string& text) {
    need_command();
    write_file(file(), text);
    std::filesystem::create_directory(folder_ / "bin");
  }

  /// Draws it; PATH is the folder that has dot, or nothing.
  troupe::testing::child_process start(const words& more = {}) {
    words command{"/bin/sh",
                  "-c",
                  "PATH=$0; export PATH; exec \"$@\" 2>&1",
                  (folder_ / "bin").string(),
                  command_path(),
                  "dag",
                  file(),
                  "--svg",
                  picture()};
    command.insert(command.end(), more.begin(), more.end());
    return troupe::testing::child_process{command};
  }

  outcome draw(const words& more = {}) {
    auto process = start(more);
    return finish(process);
  }

  /// What is in the folder, in order.
  [[nodiscard]] words files() const {
    words found;
    for (auto& each : std::filesystem::directory_iterator{folder_ / "."})
      found.push_back(each.path().filename().string());
    std::ranges::sort(found);
    return found;
  }

  /// What stands for the program dot: a script of sh.
  void put_dot(const std::string& script) {
    std::string path = folder_ / "bin/dot";
    write_file(path, "#!/bin/sh\n" + script + "\n");
    REQUIRE(::chmod(path.c_str(), 0755) == 0);
  }

  [[nodiscard]] std::string file() const {
    return folder_ / "flow.json";
  }

  [[nodiscard]] std::string picture() const {
    return folder_ / "flow.svg";
  }

  [[nodiscard]] std::string drawn() const {
    return content_of(picture());
  }

private:
  temporary_folder folder_;
};

/// So many tasks, each after the one before.
std::string chain(std::size_t length) {
  auto tasks = json::array();
  for (std::size_t each = 0; each < length; ++each)
    tasks.push_back({{"id", std::to_string(each)},
                     {"runtime_s", 1},
                     {"parents", each == 0 ? words{} : words{std::to_string(each - 1)}}});
  return json{{"schema", "troupe-dag/1"}, {"name", "chain"}, {"tasks", tasks}}.dump();
}

/// Each of the last half of so many tasks after each of the first half.
std::string two_layers(std::size_t count) {
  auto tasks = json::array();
  words first;
  for (std::size_t each = 0; each < count; ++each) {
    auto is_first = each < count / 2;
    tasks.push_back(
      {{"id", std::to_string(each)}, {"runtime_s", 1}, {"parents", is_first ? words{} : first}});
    if (is_first)
      first.push_back(std::to_string(each));
  }
  return json{{"schema", "troupe-dag/1"}, {"name", "layers"}, {"tasks", tasks}}.dump();
}

/// Two ways, of which the one over "long" takes longer.
std::string two_ways() {
  auto tasks = json::array({{{"id", "first"}, {"runtime_s", 1}},
                            {{"id", "long"}, {"runtime_s", 9}, {"parents", {"first"}}},
                            {{"id", "short"}, {"runtime_s", 2}, {"parents", {"first"}}},
                            {{"id", "last"}, {"runtime_s", 1}, {"parents", {"long", "short"}}}});
  return json{{"schema", "troupe-dag/1"}, {"name", "two ways"}, {"tasks", tasks}}.dump();
}

} // namespace

TEST_CASE("a workflow is drawn by dot, with its critical path in thick lines", "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  flow.put_dot("[ \"$*\" = -Tsvg ] || exit 9\necho '<svg>'\n/bin/cat\necho '</svg>'");
  auto done = flow.draw({"--json"});
  INFO(done);
  CHECK(done.status == 0);
  CHECK(done.line()["drawing"] == flow.picture());
  CHECK(done.line()["drawing_format"] == "svg");
  CHECK(done.line()["tasks"] == 4);
  auto drawn = flow.drawn();
  CHECK(drawn.starts_with("<svg>"));
  // Numbered by the order of their ids: first, last, long, short.
  for (auto* thick : {"t0 -> t2 [", "t2 -> t1 ["})
    CHECK_THAT(drawn, ContainsSubstring(thick));
  for (auto* thin : {"t0 -> t3\n", "t3 -> t1\n"})
    CHECK_THAT(drawn, ContainsSubstring(thin));
  auto is_thick = [&](const std::string& task) {
    auto begin = drawn.find("label=\"" + task + "\\n");
    REQUIRE(begin != std::string::npos);
    return drawn.substr(begin, drawn.find('\n', begin) - begin).find("penwidth")
           != std::string::npos;
  };
  for (auto* task : {"first", "long", "last"})
    CHECK(is_thick(task));
  CHECK_FALSE(is_thick("short"));
}

TEST_CASE("a workflow is written as the text of its graph where there is no dot",
          "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  write_file(flow.picture(), std::string(100'000, 'x')); // is replaced, and leaves nothing
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 0);
  CHECK(done.says("warning: " + flow.picture()));
  CHECK(done.says("dot of Graphviz is not on PATH; install Graphviz"));
  CHECK(done.says("critical path"));
  CHECK(flow.drawn().starts_with("digraph workflow {\n"));
  CHECK(flow.drawn().ends_with("}\n"));
}

TEST_CASE("a dot that fails or hangs leaves the text of the graph, and why", "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  flow.put_dot("echo 'Error: no \033[31mfonts' >&2; exit 3");
  auto failed = flow.draw({"--json"});
  INFO(failed);
  CHECK(failed.status == 0);
  CHECK(failed.says("failed with status 3"));
  CHECK(failed.says("fonts"));
  CHECK_FALSE(failed.says("\033"));
  CHECK(failed.line(1)["drawing_format"] == "dot");
  CHECK(flow.drawn().starts_with("digraph"));
  flow.put_dot("exec /bin/sleep 60");
  auto hung = flow.draw({"--draw-within", "200ms"});
  INFO(hung);
  CHECK(hung.status == 0);
  CHECK(hung.says("was not done within 200 ms; give it more time with --draw-within"));
  CHECK(flow.drawn().starts_with("digraph"));
  flow.put_dot("echo '<svg'; kill -9 $$");
  CHECK(flow.draw().says("failed with status 137"));
}

TEST_CASE("a workflow that is too large is not given to dot", "[cluster][cli]") {
  drawn_workflow flow{chain(10'000)};
  flow.put_dot("exec /bin/sleep 60");
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 0);
  CHECK(done.says("10000 tasks and 9999 edges are above the bounds for drawing (2000 and 5000)"));
  CHECK(done.says("dot -Tsvg"));
  CHECK_THAT(flow.drawn(), ContainsSubstring("t9998 -> t9999"));
}

TEST_CASE("a workflow of few tasks with too many edges is not given to dot", "[cluster][cli]") {
  drawn_workflow flow{two_layers(144)};
  flow.put_dot("exec /bin/sleep 60");
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 0);
  CHECK(done.says("144 tasks and 5184 edges are above the bounds for drawing (2000 and 5000)"));
}

TEST_CASE("a dot that hangs is ended with all that it started", "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  flow.put_dot("/bin/sleep 60 &\necho $! > " + flow.picture() + ".child\nwait");
  auto hung = flow.draw({"--draw-within", "500ms"});
  INFO(hung);
  CHECK(hung.status == 0);
  auto child = content_of(flow.picture() + ".child");
  INFO(child);
  REQUIRE(child.size() > 1);
  child.pop_back();
  CHECK(comes_true([&] { return content_of("/proc/" + child + "/cmdline").empty(); }));
}

TEST_CASE("what dot writes is bounded, and must be a picture", "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  flow.put_dot("/usr/bin/head -c 70000000 /dev/zero; echo '</svg>'");
  auto large = flow.draw();
  INFO(large);
  CHECK(large.status == 0);
  CHECK(flow.drawn().starts_with("digraph"));
  CHECK(large.says("warning: "));
  flow.put_dot("exec /usr/bin/head -c 70000000 /dev/zero");
  CHECK(flow.draw().says("the picture has more than 64 MiB"));
  flow.put_dot("echo nothing; exit 0");
  auto none = flow.draw();
  INFO(none);
  CHECK(none.says("dot of Graphviz ended without a picture"));
  CHECK(flow.drawn().starts_with("digraph"));
}

TEST_CASE("a drawing that is ended leaves nothing, and an older picture as it was",
          "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  flow.put_dot(": > " + flow.picture() + ".begun\nexec /bin/sleep 60");
  for (auto is_old : {false, true}) {
    std::filesystem::remove(flow.picture() + ".begun");
    if (is_old)
      write_file(flow.picture(), "an older picture");
    auto drawing = flow.start();
    REQUIRE(comes_true([&] { return std::filesystem::exists(flow.picture() + ".begun"); }));
    drawing.send_signal(SIGTERM);
    CHECK(drawing.wait_for_end(20s) == 143);
    CHECK(flow.files()
          == (is_old ? words{"bin", "flow.json", "flow.svg", "flow.svg.begun"}
                     : words{"bin", "flow.json", "flow.svg.begun"}));
    CHECK(flow.drawn() == (is_old ? "an older picture" : ""));
  }
}

TEST_CASE("a picture takes the place of a file with its rights, and behind a link",
          "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  auto real = flow.picture() + ".real";
  write_file(real, "an older picture");
  REQUIRE(::chmod(real.c_str(), 0640) == 0);
  std::filesystem::create_symlink(real, flow.picture());
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 0);
  CHECK(std::filesystem::is_symlink(flow.picture()));
  CHECK(content_of(real).starts_with("digraph"));
  struct stat about {};
  REQUIRE(::stat(real.c_str(), &about) == 0);
  CHECK((about.st_mode & 07777U) == 0640U);
  CHECK(flow.files() == words{"bin", "flow.json", "flow.svg", "flow.svg.real"});
}

TEST_CASE("where no picture can go is refused at once", "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  for (auto* word : {"", "-"}) {
    auto none = run({"dag", flow.file(), "--svg", word});
    INFO(none);
    CHECK(none.status == 2);
    CHECK(none.says("error: --svg: '"s + word + "' is no file; give a file, or leave it out"));
  }
  troupe::testing::child_process same{{"/bin/sh", "-c",
                                       "exec \"$0\" dag \"$1\" --svg \"$2\" 2>&1 > \"$2\"",
                                       command_path(), flow.file(), flow.picture()}};
  auto onto_itself = finish(same);
  INFO(onto_itself);
  CHECK(onto_itself.status == 2);
  CHECK(onto_itself.says("where the output of the command goes"));
  std::filesystem::remove(flow.picture());
  REQUIRE(::mkfifo(flow.picture().c_str(), 0600) == 0);
  auto unread = flow.draw();
  INFO(unread);
  CHECK(unread.status == 2);
  CHECK(unread.says("a pipe that no program reads"));
  std::filesystem::remove(flow.picture());
  std::filesystem::create_symlink(flow.picture() + ".away", flow.picture());
  auto dangling = flow.draw();
  INFO(dangling);
  CHECK(dangling.status == 2);
  CHECK(dangling.says("a link to a file that does not exist"));
  CHECK(std::filesystem::is_symlink(flow.picture()));
}

TEST_CASE("a picture of a workflow has no character that XML does not have, or that turns text",
          "[cluster][cli]") {
  auto tasks = json::array(
    {{{"id", "a\xef\xbf\xbf"}, {"runtime_s", 1}}, {{"id", "\xe2\x80\xaegnp"}, {"runtime_s", 1}}});
  drawn_workflow flow{
    json{{"schema", "troupe-dag/1"}, {"name", "n\xef\xbf\xbe"}, {"tasks", tasks}}.dump()};
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 0);
  auto drawn = flow.drawn();
  for (auto* text : {"label=\"a\xef\xbf\xbd\\n1 s\"", R"(label="\\xe2\\x80\\xaegnp\n1 s")",
                     "label=\"n\xef\xbf\xbd\\n"})
    CHECK_THAT(drawn, ContainsSubstring(text));
}

TEST_CASE("names of tasks stay text in a drawing", "[cluster][cli]") {
  auto tasks = json::array({{{"id", R"(say "hi"];)"}, {"runtime_s", 1}},
                            {{"id", R"(back\slash\)"}, {"runtime_s", 1}},
                            {{"id", "<b>&lt;</b>"}, {"runtime_s", 1}},
                            {{"id", std::string(200, 'l')}, {"runtime_s", 1}},
                            {{"id", "\xc3\xbc\xe2\x82\xac"}, {"runtime_s", 1}}});
  json hostile{{"schema", "troupe-dag/1"}, {"name", "\"name\" \\N"}, {"tasks", tasks}};
  drawn_workflow flow{hostile.dump()};
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 0);
  auto drawn = flow.drawn();
  for (auto* text : {R"(label="say \"hi\"];\n1 s")", R"(label="back\\slash\\\n1 s")",
                     R"(label="<b>&amp;lt;</b>\n1 s")", "label=\"\xc3\xbc\xe2\x82\xac\\n1 s\"",
                     R"(label="\"name\" \\N\ncritical)"})
    CHECK_THAT(drawn, ContainsSubstring(text));
  CHECK_THAT(drawn, ContainsSubstring("label=\"" + std::string(48, 'l') + "...\\n1 s\""));
  if (troupe::testing::child_process which{{"/bin/sh", "-c", "command -v dot"}};
      which.wait_for_end() != 0)
    SKIP("Graphviz is not installed");
  auto real = run({"dag", flow.file(), "--svg", flow.picture()});
  INFO(real);
  CHECK(real.status == 0);
  CHECK_FALSE(real.says("warning"));
  for (auto* text : {"say &quot;hi&quot;];", R"(back\slash\<)", "&lt;b&gt;&amp;lt;&lt;/b&gt;"})
    CHECK_THAT(flow.drawn(), ContainsSubstring(text));
}

TEST_CASE("a name with a line end is refused before anything is drawn", "[cluster][cli]") {
  json hostile{{"schema", "troupe-dag/1"},
               {"name", "two"},
               {"tasks", json::array({{{"id", "one\ntwo"}, {"runtime_s", 1}}})}};
  drawn_workflow flow{hostile.dump()};
  auto done = flow.draw();
  INFO(done);
  CHECK(done.status == 2);
  CHECK(done.says("control characters"));
  CHECK_FALSE(std::filesystem::exists(flow.picture()));
}

TEST_CASE("a picture that cannot be written is refused, and so is one over its workflow",
          "[cluster][cli]") {
  drawn_workflow flow{two_ways()};
  auto before = content_of(flow.file());
  auto away = run({"dag", flow.file(), "--svg", "/no/such/folder/flow.svg"});
  INFO(away);
  CHECK(away.status == 2);
  CHECK(away.says("error: --svg is '/no/such/folder/flow.svg', which cannot be written"));
  CHECK_FALSE(away.says("critical path"));
  auto over = run({"dag", flow.file(), "--svg", flow.file()});
  INFO(over);
  CHECK(over.status == 2);
  CHECK(over.says("which is read as the workflow"));
  CHECK(content_of(flow.file()) == before);
  auto full = run({"dag", flow.file(), "--svg", "/dev/full"});
  INFO(full);
  CHECK(full.status == 1);
  CHECK(full.says("whether the disk is full"));
  CHECK(run({"dag", flow.file(), "--svg", flow.picture(), "--draw-within", "soon"}).status == 2);
}

} // namespace drawing_test
