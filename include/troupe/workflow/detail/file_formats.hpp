#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/core/problem.hpp"
#include "troupe/core/result.hpp"
#include "troupe/workflow/detail/id_index.hpp"
#include "troupe/workflow/detail/json_fields.hpp"
#include "troupe/workflow/detail/task_checks.hpp"
#include "troupe/workflow/detail/text.hpp"
#include "troupe/workflow/types.hpp"

/// The formats of workflow files, from JSON to a definition.
namespace troupe::workflow::detail {

inline problem in_list(std::string_view list, std::size_t position, std::string_view id,
                       problem why) {
  why.detail = std::string{list} + place_of(position, id) + ": " + why.detail;
  return why;
}

// -- troupe-dag/1 ------------------------------------------------------------------

inline result<definition> read_troupe_dag(const nlohmann::json& root) {
  definition given;
  json_fields head{root};
  head.only({"schema", "name", "origin", "description", "tasks"});
  head.text("name", given.name);
  auto* tasks = head.list("tasks");
  if (head.fault())
    return *head.fault();
  if (tasks == nullptr)
    return problem{errc::bad_argument, "tasks is missing"};
  given.tasks.reserve(tasks->size());
  for (auto& item : *tasks) {
    task each;
    json_fields from{item};
    from.required("id", each.id);
    from.only({"id", "runtime_s", "parents", "cores", "gpus", "memory_bytes", "priority", "run",
               "input", "retries", "timeout_s", "group", "labels"});
    from.seconds("runtime_s", each.run_time);
    from.texts("parents", each.parents);
    from.whole("cores", each.cores);
    from.whole("gpus", each.gpus);
    from.whole("memory_bytes", each.memory_bytes);
    from.whole("priority", each.priority);
    from.text("run", each.handler);
    from.any("input", each.input);
    from.whole("retries", each.retries, max_retries);
    from.seconds("timeout_s", each.timeout);
    from.text("group", each.group);
    from.texts("labels", each.labels);
    if (from.fault())
      return in_list("", given.tasks.size(), each.id, *from.fault());
    given.tasks.push_back(std::move(each));
  }
  return given;
}

// -- WfFormat ----------------------------------------------------------------------

/// Reads WfCommons' WfFormat: 1.5 and 1.6, where each task is listed under specification and
/// under execution, and 1.3 and 1.4, where tasks are directly under workflow and identified
/// by name. Other data (files, machines) is ignored.
/// Source: Coleman et al., "WfCommons", FGCS 128 (2022); its JSON schema.
class wf_format_reader {
public:
  using json = nlohmann::json;

  static result<definition> read(const json& root) {
    wf_format_reader reader;
    reader.read_root(root);
    if (reader.fault_)
      return *std::move(reader.fault_);
    return std::move(reader.given_);
  }

private:
  void read_root(const json& root) {
    json_fields head{root};
    head.text("name", given_.name);
    std::string version;
    head.text("schemaVersion", version);
    auto* workflow = head.object("workflow");
    if (workflow == nullptr || head.fault())
      return keep(head, "workflow");
    if (!version.empty() && version != "1.3" && version != "1.4" && version != "1.5"
        && version != "1.6")
      return fail({errc::bad_argument,
                   "schemaVersion is " + in_quotes(version) + "; versions 1.3 to 1.6 can be read"});
    json_fields body{*workflow};
    auto* specification = body.object("specification");
    auto* execution = body.object("execution");
    if (body.fault())
      return keep(body, "");
    if (specification == nullptr)
      return read_flat(*workflow);
    read_specification(*specification);
    if (!fault_ && execution != nullptr)
      read_execution(*execution);
  }

  void read_flat(const json& workflow) {
    read_list(workflow, "workflow.", [this](json_fields& from) {
      task each;
      from.required("name", each.id);
      from.seconds("runtime", each.run_time);          // 1.3
      from.seconds("runtimeInSeconds", each.run_time); // 1.4
      from.whole("cores", each.cores);
      from.whole("memory", each.memory_bytes, 1000); // 1.3, in kB
      from.whole("memoryInBytes", each.memory_bytes);
      from.whole("priority", each.priority);
      return add_task(from, std::move(each));
    });
    join_children("workflow.");
  }

  void read_specification(const json& specification) {
    read_list(specification, specification_place, [this](json_fields& from) {
      task each;
      from.required("id", each.id);
      return add_task(from, std::move(each));
    });
    join_children(specification_place);
  }

  std::string add_task(json_fields& from, task each) {
    from.texts("parents", each.parents);
    from.texts("children", children_.emplace_back());
    return given_.tasks.emplace_back(std::move(each)).id;
  }

  /// Adds the edges in the lists of children. Most files have each edge in the parents and the
  /// children, some only in the parents; one of them is enough.
  void join_children(std::string_view place) {
    if (fault_)
      return;
    id_index index{given_.tasks};
    if (auto why = check_ids(given_.tasks, index)) {
      why->detail = std::string{place} + why->detail;
      return fail(*std::move(why));
    }
    for (std::size_t position = 0; position < children_.size(); ++position) {
      auto& parent = given_.tasks[position].id;
      for (auto& name : children_[position]) {
        auto child = index.rank_of(name);
        if (!child)
          return fail(in_list(
            place, position, parent,
            {errc::bad_argument, "child " + in_quotes(name)
                                   + " is not a task of this workflow; add it, or take it out of "
                                     "children"}));
        given_.tasks[index[*child]].parents.push_back(parent);
      }
    }
    for (auto& each : given_.tasks) {
      std::sort(each.parents.begin(), each.parents.end());
      auto repeated = std::unique(each.parents.begin(), each.parents.end());
      each.parents.erase(repeated, each.parents.end());
    }
  }

  void read_execution(const json& execution) {
    id_index index{given_.tasks};
    std::vector<bool> seen(given_.tasks.size(), false);
    read_list(execution, execution_place, [&](json_fields& from) {
      std::string id;
      from.required("id", id);
      auto rank = index.rank_of(id);
      if (!rank)
        from.fail("no task of workflow.specification has this id");
      else if (seen[index[*rank]])
        from.fail("listed twice; list it once");
      if (from.fault())
        return id;
      seen[index[*rank]] = true;
      auto& each = given_.tasks[index[*rank]];
      from.seconds("runtimeInSeconds", each.run_time);
      from.whole("coreCount", each.cores);
      from.whole("memoryInBytes", each.memory_bytes);
      from.whole("priority", each.priority);
      return id;
    });
    auto missing = std::find(seen.begin(), seen.end(), false);
    if (fault_ || missing == seen.end())
      return;
    auto position = static_cast<std::size_t>(missing - seen.begin());
    fail(in_list(specification_place, position, given_.tasks[position].id,
                 {errc::bad_argument, "it has no entry in workflow.execution.tasks; add one, or "
                                      "leave execution out"}));
  }

  /// Passes each entry of `tasks` to `read_one`, which returns its id for error sentences.
  template <class ReadOne>
  void read_list(const json& owner, std::string_view place, ReadOne read_one) {
    json_fields fields{owner};
    auto* tasks = fields.list("tasks");
    if (tasks == nullptr || fields.fault())
      return keep(fields, std::string{place} + "tasks");
    for (std::size_t position = 0; position < tasks->size(); ++position) {
      json_fields from{(*tasks)[position]};
      auto id = read_one(from);
      if (from.fault())
        return fail(in_list(place, position, id, *from.fault()));
    }
  }

  /// Keeps the fault of `fields`, or that `wanted` is missing.
  void keep(const json_fields& fields, const std::string& wanted) {
    fail(fields.fault() ? *fields.fault() : problem{errc::bad_argument, wanted + " is missing"});
  }

  void fail(problem why) {
    if (!fault_)
      fault_ = std::move(why);
  }

  static constexpr std::string_view specification_place = "workflow.specification.";
  static constexpr std::string_view execution_place = "workflow.execution.";

  definition given_;
  std::vector<std::vector<std::string>> children_; // of given_.tasks
  std::optional<problem> fault_;
};

// -- which of the two --------------------------------------------------------------

inline result<definition> read_definition(const nlohmann::json& root) {
  auto schema = root.is_object() ? root.find("schema") : root.end();
  if (schema != root.end() && *schema == "troupe-dag/1")
    return read_troupe_dag(root);
  if (schema != root.end() && schema->is_string())
    return problem{errc::bad_argument, "schema is "
                                         + in_quotes(schema->get_ref<const std::string&>())
                                         + "; this version reads troupe-dag/1 and WfFormat"};
  if (root.is_object() && root.contains("workflow"))
    return wf_format_reader::read(root);
  return problem{errc::bad_argument,
                 "this is no workflow: it has neither \"schema\": \"troupe-dag/1\" nor the "
                 "\"workflow\" of WfFormat"};
}

} // namespace troupe::workflow::detail
