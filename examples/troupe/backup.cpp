#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "commands.hpp"
#include "connect.hpp"
#include "troupe/cluster/voter_plan.hpp"
#include "troupe/group/group_backup.hpp"
#include "troupe/node/identity.hpp"
#include "troupe/node/restored_state.hpp"
#include "troupe/node/services.hpp"
#include "troupe/platform/calendar.hpp"
#include "troupe/platform/entropy.hpp"
#include "troupe/security/authority.hpp"
#include "troupe/security/setup.hpp"
#include "wording.hpp"

namespace cli {

using namespace troupe;

namespace {

problem cannot(const std::string& file) {
  if (errno == EEXIST)
    return {errc::bad_argument,
            file + " exists already, and a backup replaces no file; give another one"};
  return {errno == ENOSPC ? errc::storage_full : errc::bad_argument,
          "cannot write " + file + ": " + std::strerror(errno) + "; check the path and the disk"};
}

/// Writes and syncs the whole content, or leaves no file.
problem write_whole(const std::string& file, const std::string& bytes) {
  auto out = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (out < 0)
    return cannot(file);
  std::size_t done = 0;
  while (done < bytes.size()) {
    auto more = ::write(out, bytes.data() + done, bytes.size() - done);
    if (more <= 0)
      break;
    done += static_cast<std::size_t>(more);
  }
  auto why = done == bytes.size() && ::fsync(out) == 0 ? problem{} : cannot(file);
  ::close(out);
  if (why)
    ::unlink(file.c_str());
  return why;
}

/// Makes the folder the first node of a new cluster.
result<std::string> found_anew(cluster::data_folder& data) {
  if (auto why = data.belong_to(random_id<cluster_id>(), true, {}))
    return why;
  // The node adds its address when it leads.
  return to_string(cluster::seat_contact{data.self().id, {}});
}

/// Why a restored node cannot have that name.
problem refuse_name(const common_options& common, const std::string& name) {
  if (common.insecure)
    return {errc::bad_argument, "--name stands in the certificate, and with --insecure there is "
                                "none; leave it out, and give it to troupe node"};
  return security::check_certified_name(name);
}

} // namespace

int run_backup(const common_options& common, const backup_command& what) {
  auto client = connect(common);
  if (!client)
    return complain(common, client.error());
  auto bytes = (*client)->voters().back_up(common.wait());
  if (!bytes)
    return complain(common, bytes.error());
  auto made = host::backup_from(*bytes);
  if (!made)
    return complain(common, made.error());
  if (auto why = write_whole(what.file, *bytes))
    return complain(common, why);
  return tell(common, "backed_up",
              {{"file", what.file}, {"entry", made->index}, {"bytes", bytes->size()}},
              what.file + " contains all data up to entry " + std::to_string(made->index) + ", "
                + std::to_string(bytes->size()) + " bytes");
}

int run_restore(const common_options& common, const backup_command& what) {
  auto found = host::read_backup(what.file);
  if (!found)
    return complain_of_file(common, what.file, found.error());
  if (auto why = cluster::forget_workers(*found, cluster::hosted_services::scheduler_number))
    return complain_of_file(common, what.file, why);
  std::error_code fault;
  if (std::filesystem::exists(what.data, fault) && !std::filesystem::is_empty(what.data, fault))
    return complain(common,
                    {errc::in_use, what.data + " is not empty; give a new folder with --data"});
  if (!what.name.empty())
    if (auto why = refuse_name(common, what.name))
      return complain(common, why);
  auto data = cluster::data_folder::open(what.data);
  if (!data)
    return complain(common, data.error());
  auto contact = found_anew(*data);
  if (!contact)
    return complain(common, contact.error());
  if (auto why = host::found_from(*found, data->file("group.db"), *contact))
    return complain(common, why);
  auto name = what.name.empty() ? to_string(data->self().id).substr(0, 8) : what.name;
  if (!common.insecure)
    if (auto made = security::make_own_authority(what.data, data->key(), name, read_calendar());
        !made)
      return complain(common, made.error());
  return tell(common, "restored", {{"data", what.data}, {"entry", found->index}},
              what.data + " begins a new cluster with all data up to entry "
                + std::to_string(found->index)
                + (common.insecure
                     ? ", and without certificates: have them made there (troupe ca issue --role "
                       "member --out "
                         + shell_word(what.data) + "), or give troupe node --insecure, too"
                     : ", and with a CA of its own")
                + "; start it with troupe node --data " + shell_word(what.data)
                + ", then join others with empty folders");
}

int run_recover(const common_options& common, const backup_command& what) {
  std::error_code fault;
  if (!std::filesystem::exists(std::filesystem::path{what.data} / "group.db", fault)) {
    complain(common,
             {errc::not_found, what.data
                                 + " has no group.db; give the data folder of a node that had a "
                                   "vote"});
    return bad_input;
  }
  auto data = cluster::data_folder::open(what.data);
  if (!data)
    return complain(common, data.error());
  auto log = data->file("group.db");
  auto end = host::may_go_on_alone(log);
  if (!end)
    return complain(common, end.error());
  auto end_text = "term " + std::to_string(end->term) + ", entry " + std::to_string(end->index);
  if (what.dry_run)
    return tell(common, "recoverable",
                {{"data", what.data}, {"term", end->term}, {"entry", end->index}},
                "the log of " + what.data + " ends at " + end_text
                  + "; of several voters choose the one with the highest term, then the one with "
                    "the highest entry");
  // The identity comes first: after a crash in between, the old log under a new identity does
  // nothing until recover is repeated. In the other order the node would lead beside the old
  // cluster.
  auto contact = found_anew(*data);
  if (!contact)
    return complain(common, contact.error());
  if (auto why = host::go_on_alone(log, *contact))
    return complain(common, why);
  return tell(common, "recovered",
              {{"data", what.data}, {"term", end->term}, {"entry", end->index}},
              what.data + " goes on alone, as a new cluster, with all data up to " + end_text
                + "; never start the other old voters "
                  "again, join nodes with empty folders instead");
}

} // namespace cli
