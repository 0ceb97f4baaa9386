#include "troupe/node/identity.hpp" // the header under test

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include <sys/stat.h>
#include <unistd.h>

#include "support/temporary_folder.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/security/setup.hpp"

using namespace troupe;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using cluster::data_folder;

namespace {

problem trouble(const std::filesystem::path& where) {
  auto opened = data_folder::open(where);
  return opened ? problem{} : opened.error();
}

} // namespace

TEST_CASE("a data folder remembers who its node is, and counts its starts", "[node]") {
  test::temporary_folder folder;
  auto id = data_folder::open(folder / "a")->self().id;
  for (boot_number boot = 1; boot <= 3; ++boot) {
    CHECK(data_folder::open(folder / "a")->self().boot == boot - 1); // no start yet
    auto data = data_folder::open(folder / "a");
    REQUIRE(data);
    CHECK(data->count_start().code == errc::none);
    CHECK(data->self().boot == boot);
    CHECK(data->self().id == id);
  }
  auto nowhere = data_folder::open({});
  CHECK(nowhere->count_start().code == errc::none);
  CHECK(nowhere->self().boot == 1);
}

TEST_CASE("a node has the id of its key, which only its owner can read", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  CHECK(data->self().id == id_of(data->key().public_half()));
  auto mode_of = [&](const std::string& name) {
    struct stat about {};
    REQUIRE(::stat((folder / "a" / name).c_str(), &about) == 0);
    return about.st_mode & 0777U;
  };
  CHECK(mode_of("") == 0700);
  for (auto* name : {"identity.key", "identity.json", "lock"})
    CHECK(mode_of(name) == 0600);
  CHECK(data->warnings().empty());
}

TEST_CASE("a data folder that others may enter is warned of, and closed by nobody", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  REQUIRE(::chmod((folder / "a").c_str(), 0755) == 0);
  auto only_warning = [&] {
    auto all = data->warnings();
    REQUIRE(all.size() == 1);
    CHECK_THAT(all.front(), ContainsSubstring("other users of this machine may enter "
                                              + (folder / "a").string()));
    return all.front();
  };
  SECTION("it has nothing but what nodes make: it is to be closed") {
    for (auto* name : {"lost+found", ".snapshot", "group.db", "group.db-wal", "counter.db"})
      std::ofstream{folder / "a" / name} << "content";
    CHECK_THAT(only_warning(), ContainsSubstring("chmod 700 " + (folder / "a").string()));
  }
  SECTION("others have files there, who would be shut out: the node is to move") {
    std::ofstream{folder / "a" / "passwd"} << "root";
    CHECK_THAT(only_warning(), ContainsSubstring("such as passwd"));
    CHECK_THAT(only_warning(), ContainsSubstring("new folder") && !ContainsSubstring("chmod"));
  }
  SECTION("all users make files there") {
    REQUIRE(::chmod((folder / "a").c_str(), 01777) == 0);
    CHECK_THAT(only_warning(), ContainsSubstring("new folder") && !ContainsSubstring("chmod"));
  }
}

TEST_CASE("files of a CA that others may read are warned of, with what to do", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  auto ca = folder / "a" / "ca";
  std::filesystem::create_directory(ca);
  REQUIRE(::chmod(ca.c_str(), 0700) == 0);
  for (auto* name : {"ca.key", "invitations.jsonl"}) {
    std::ofstream{ca / name} << "secret";
    REQUIRE(::chmod((ca / name).c_str(), 0600) == 0);
  }
  CHECK(data->warnings().empty());
  SECTION("its key, which no command replaces") {
    REQUIRE(::chmod((ca / "ca.key").c_str(), 0640) == 0);
    REQUIRE(data->warnings().size() == 1);
    CHECK_THAT(data->warnings().front(),
               ContainsSubstring("other users may read " + (ca / "ca.key").string())
                 && ContainsSubstring("chmod 600 " + (ca / "ca.key").string())
                 && ContainsSubstring("make a new cluster"));
  }
  SECTION("its tokens, which can be withdrawn") {
    REQUIRE(::chmod((ca / "invitations.jsonl").c_str(), 0604) == 0);
    REQUIRE(data->warnings().size() == 1);
    CHECK_THAT(data->warnings().front(),
               ContainsSubstring("other users may read " + (ca / "invitations.jsonl").string())
                 && ContainsSubstring("troupe ca withdraw"));
  }
}

TEST_CASE("a folder with files that are of no node becomes no data folder, and stays as it is",
          "[node]") {
  test::temporary_folder folder;
  auto where = folder / "a";
  std::filesystem::create_directory(where);
  auto names = [&] {
    std::set<std::string> found;
    for (auto& each : std::filesystem::directory_iterator{where})
      found.insert(each.path().filename().string());
    return found;
  };
  std::string name = "passwd";
  SECTION("a file") {
    std::ofstream{where / name} << "root";
  }
  SECTION("a file that is no database") {
    name = "pictures.dbx";
    std::ofstream{where / name} << "content";
  }
  SECTION("a folder, beside what may be there") {
    for (auto* each : {"lock", ".hidden", "lost+found", "ca.pem", "identity.key.new"})
      std::ofstream{where / each} << "content";
    std::filesystem::create_directory(where / name);
  }
  for (auto keeps_data : {true, false}) {
    auto before = names();
    auto opened = data_folder::open(where, keeps_data);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().code == errc::bad_argument);
    CHECK(opened.error().detail
          == where.string() + " has files that are of no node, such as " + name
               + "; give a new or an empty folder as "
                 "node_options::data");
    CHECK(names() == before);
  }
}

TEST_CASE("a new disk and what a killed node has left count as empty", "[node]") {
  test::temporary_folder folder;
  auto where = folder / "a";
  std::filesystem::create_directory(where);
  for (auto* name : {"lost+found", ".hidden"})
    std::filesystem::create_directory(where / name);
  for (auto* name : {"lock", "identity.key.new", "node.pem", "ca.pem", "revoked.list"})
    std::ofstream{where / name} << "content";
  CHECK(trouble(where).code == errc::none);
}

TEST_CASE("files that come into a data folder later do not stop its node", "[node]") {
  test::temporary_folder folder;
  REQUIRE(data_folder::open(folder / "a"));
  std::ofstream{folder / "a" / "notes"} << "mine";
  CHECK(trouble(folder / "a").code == errc::none);
  // Also where only the key is there, as troupe ca issue leaves it.
  std::filesystem::remove(folder / "a" / "identity.json");
  CHECK(trouble(folder / "a").code == errc::none);
}

TEST_CASE("a data folder of another user is warned of", "[node]") {
  if (::geteuid() != 0)
    SKIP("only root gives folders to others");
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  REQUIRE(::chown((folder / "a").c_str(), 4711, static_cast<gid_t>(-1)) == 0);
  auto all = data->warnings();
  REQUIRE(all.size() == 1);
  auto gives = "; give it to the user of this process (chown 0 " + (folder / "a").string() + ")";
  CHECK_THAT(all.front(), ContainsSubstring((folder / "a").string() + " belongs to the user 4711")
                            && EndsWith(gives));
  SECTION("who would be shut out, or not, by a chmod") {
    REQUIRE(::chmod((folder / "a").c_str(), 0755) == 0);
    CHECK(data->warnings() == all);
  }
  SECTION("who keeps the folder where others have files in it") {
    std::ofstream{folder / "a" / "notes"} << "theirs";
    REQUIRE(data->warnings().size() == 1);
    CHECK_THAT(data->warnings().front(),
               ContainsSubstring("such as notes; stop the node and move its files")
                 && !ContainsSubstring("chown"));
  }
}

TEST_CASE("a node without a data folder has another id at each start, and no key", "[node]") {
  auto fleeting = data_folder::open({});
  REQUIRE(fleeting);
  CHECK_FALSE(fleeting->is_durable());
  CHECK(fleeting->self().id != node_id{});
  CHECK(fleeting->self().id != data_folder::open({})->self().id);
  CHECK(fleeting->credentials(wall_time{}).value() == nullptr);
}

TEST_CASE("a data folder whose key is missing, another or open to others is refused", "[node]") {
  test::temporary_folder folder;
  REQUIRE(data_folder::open(folder / "a"));
  REQUIRE(data_folder::open(folder / "b"));
  auto key = folder / "a" / "identity.key";
  SECTION("missing: also what was made before there were keys") {
    std::filesystem::remove(key);
    CHECK(trouble(folder / "a").code == errc::damaged);
    CHECK_THAT(trouble(folder / "a").detail, ContainsSubstring("no identity.key"));
  }
  SECTION("another") {
    std::filesystem::copy(folder / "b" / "identity.key", key,
                          std::filesystem::copy_options::overwrite_existing);
    CHECK(trouble(folder / "a").code == errc::damaged);
  }
  SECTION("open to others") {
    REQUIRE(::chmod(key.c_str(), 0640) == 0);
    CHECK_THAT(trouble(folder / "a").detail, ContainsSubstring("chmod 600"));
  }
  SECTION("there before the folder was used, as troupe ca issue leaves it") {
    std::filesystem::create_directory(folder / "c");
    REQUIRE(security::key_pair::load(key)->save(folder / "c" / "identity.key"));
    CHECK(data_folder::open(folder / "c")->self().id == data_folder::open(folder / "a")->self().id);
  }
}

TEST_CASE("a data folder has both certificates or none", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  auto now = read_calendar();
  CHECK(data->credentials(now).value() == nullptr);
  REQUIRE(security::make_own_authority(folder / "a", data->key(), "n1", now));
  auto found = data->credentials(now);
  REQUIRE(found);
  CHECK((*found)->self().node == data->self().id);
  CHECK((*found)->self().as == security::role::member);
  CHECK(security::make_own_authority(folder / "a", data->key(), "n1", now).error().code
        == errc::in_use);
  std::filesystem::rename(folder / "a" / "ca.pem", folder / "a" / "away");
  CHECK(data->credentials(now).error().code == errc::damaged);
  std::filesystem::rename(folder / "a" / "away", folder / "a" / "ca.pem");
  // A crash may have ended it before the last file.
  std::filesystem::remove(folder / "a" / "node.pem");
  CHECK(data->credentials(now).value() == nullptr);
  CHECK(security::make_own_authority(folder / "a", data->key(), "n1", now));
}

TEST_CASE("a data folder that is in use is refused in the words of a program", "[node]") {
  test::temporary_folder folder;
  auto first = data_folder::open(folder / "a");
  auto why = trouble(folder / "a");
  CHECK(why.code == errc::in_use);
  CHECK(why.detail
        == (folder / "a").string()
             + " belongs to a running node; stop that, or give another folder as "
               "node_options::data");
}

TEST_CASE("a data folder that has lost its identity makes no new one over what it keeps",
          "[node]") {
  test::temporary_folder folder;
  REQUIRE(data_folder::open(folder / "a"));
  std::filesystem::path identity = folder / "a" / "identity.json";
  auto is_refused = [&](errc code, const char* words) {
    auto why = trouble(folder / "a");
    CHECK(why.code == code);
    CHECK_THAT(why.detail, ContainsSubstring(words));
  };
  SECTION("the file is gone, the log is there") {
    std::ofstream{folder / "a" / "group.db"} << "log";
    std::filesystem::remove(identity);
    std::filesystem::remove(folder / "a" / "lock");
    is_refused(errc::damaged, "identity.json");
    CHECK_FALSE(std::filesystem::exists(identity));
    CHECK_FALSE(std::filesystem::exists(folder / "a" / "lock")); // nothing is changed
    std::ofstream{folder / "a" / "notes"} << "mine";
    std::filesystem::remove(folder / "a" / "identity.key");
    is_refused(errc::damaged, "identity.json");
    CHECK_FALSE(std::filesystem::exists(folder / "a" / "identity.key"));
  }
  SECTION("the file is there, and cannot be read") {
    std::filesystem::remove(identity);
    std::filesystem::create_symlink("identity.json", identity);
    is_refused(errc::bad_argument, "cannot read");
    CHECK(std::filesystem::is_symlink(identity));
  }
  SECTION("nothing is there: it is a new one") {
    std::filesystem::remove(identity);
    CHECK(trouble(folder / "a").code == errc::none);
  }
}

TEST_CASE("a data folder that hears of a later start goes on above it, also the next time",
          "[node]") {
  test::temporary_folder folder;
  {
    auto data = data_folder::open(folder / "a");
    REQUIRE(data);
    CHECK(data->rise_above(40).code == errc::none);
    CHECK(data->self().boot == 41);
    CHECK(data->rise_above(40).code == errc::none); // old news
    CHECK(data->self().boot == 41);
    CHECK(data->rise_above(41).code == errc::none); // another process has been this start, too
    CHECK(data->self().boot == 42);
  }
  {
    auto lost = data_folder::open(folder / "b");
    REQUIRE(lost);
    std::filesystem::remove_all(folder / "b");
    CHECK(lost->rise_above(40).code == errc::bad_argument); // what the disk does not keep is not so
    CHECK(lost->self().boot == 0);
    CHECK(lost->count_start().code == errc::bad_argument);
    CHECK(lost->self().boot == 0);
  }
  CHECK(data_folder::open(folder / "a")->self().boot == 42);
}

TEST_CASE("a log that is of no cluster is discarded with all that is kept beside it", "[node]") {
  test::temporary_folder folder;
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  for (auto* name : {"group.db", "group.db-wal", "group.db.mark", "other.db"})
    std::ofstream{folder / "a" / name} << "content";
  CHECK(data->discard("group.db").code == errc::none);
  CHECK_FALSE(std::filesystem::exists(folder / "a" / "group.db"));
  CHECK_FALSE(std::filesystem::exists(folder / "a" / "group.db-wal"));
  CHECK_FALSE(std::filesystem::exists(folder / "a" / "group.db.mark"));
  CHECK(std::filesystem::exists(folder / "a" / "other.db"));
  CHECK(std::filesystem::exists(folder / "a" / "identity.json"));
}

TEST_CASE("a folder of an identity counts starts and keeps nothing else", "[node]") {
  test::temporary_folder folder;
  auto id = node_id{};
  for (boot_number boot = 1; boot <= 3; ++boot) {
    auto made = data_folder::open(folder / "i", false);
    REQUIRE(made);
    CHECK(made->count_start().code == errc::none);
    CHECK(made->self().boot == boot);
    CHECK((boot == 1 || made->self().id == id));
    id = made->self().id;
    CHECK_FALSE(made->is_durable());
    CHECK(made->self().cluster == cluster_id{});
    CHECK_FALSE(made->belong_to(random_id<cluster_id>(), true, {"127.0.0.1:1"}));
    CHECK(made->self().cluster != cluster_id{});
  }
}

TEST_CASE("where a node has met its cluster is read beside the node that runs", "[node]") {
  test::temporary_folder folder;
  CHECK(cluster::places_met(folder / "a").empty());
  auto data = data_folder::open(folder / "a");
  REQUIRE(data);
  CHECK(cluster::places_met(folder / "a").empty());
  CHECK_FALSE(data->belong_to(random_id<cluster_id>(), true, {"127.0.0.1:1", "[::1]:2"}));
  CHECK(cluster::is_in_use(folder / "a"));
  CHECK(cluster::places_met(folder / "a") == std::vector<std::string>{"127.0.0.1:1", "[::1]:2"});
}
