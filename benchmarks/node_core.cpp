// The machines that make a node a member of its cluster, alone: steps a second of
// cluster::node_core with many known nodes.
//
//   node_core_benchmark [NODES]

#include <chrono>
#include <cstdint>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "troupe/cluster/node_core.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/registry/record_set.hpp"
#include "troupe/registry/types.hpp"

namespace {

using namespace troupe;
using cluster::node_core;

constexpr std::uint64_t agents_each = 10;

double seconds_of(const std::function<void()>& job) {
  auto begin = std::chrono::steady_clock::now();
  job();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

bool trusts(const public_key&, std::string_view, const signature&) {
  return true; // swim has looked at it, and a node's own cost is measured elsewhere
}

/// A node with ten agents, of which one changes at a time.
class other_node {
public:
  explicit other_node(std::uint64_t number) {
    key_.bytes[0] = static_cast<std::byte>(number);
    key_.bytes[1] = static_cast<std::byte>(number >> 8U);
    for (std::uint64_t each = 0; each <= agents_each; ++each)
      records_.push_back(record(each));
  }

  [[nodiscard]] node_id id() const {
    return id_of(key_);
  }

  /// All that it says, or what has changed since the last call.
  cluster::told_records page() {
    cluster::told_records made{said(), {}};
    made.page.after = told_;
    made.page.upto = told_ = version_;
    for (auto& each : records_)
      if (each.version > made.page.after)
        made.page.records.push_back(each);
    return made;
  }

  node_core::member_is seen() {
    return {id(), {1, refutation_}, cluster::member_status::alive, said(), key_, id()};
  }

  void change(std::uint64_t agent) {
    records_.at(1 + agent) = record(1 + agent);
    ++refutation_;
  }

private:
  registry::record record(std::uint64_t which) {
    registry::record made;
    auto owner = id();
    made.key
      = which == 0
          ? registry::record_key{registry::record_kind::node, "node", owner}
          : registry::record_key{registry::record_kind::agent,
                                 "a" + std::to_string(which) + "@" + to_string(owner), owner};
    made.boot = 1;
    made.version = ++version_;
    return made;
  }

  [[nodiscard]] cluster::signed_statement said() const {
    std::map<registry::record_key, registry::records_digest> all;
    for (auto& each : records_)
      all[each.key] = registry::digest_of(each);
    registry::set_digest whole;
    for (auto& [key, each] : all)
      whole.add(each);
    cluster::signed_statement made;
    made.what.node = id();
    made.what.when = {1, refutation_};
    made.what.address = "127.0.0.1:1";
    made.what.records = {version_, whole.finish()};
    return made;
  }

  public_key key_{};
  std::vector<registry::record> records_;
  std::uint64_t version_ = 0;
  std::uint64_t told_ = 0;
  std::uint32_t refutation_ = 0;
};

/// A node of a cluster of so many.
class one_node {
public:
  explicit one_node(std::uint64_t nodes)
    : it_({.node = other_node{0}.id(), .name = "n0", .boot = 1}, &trusts) {
    for (std::uint64_t node = 1; node < nodes; ++node) {
      others_.emplace_back(node);
      hear_of(others_.back());
    }
  }

  /// Some change of which it hears: of as many nodes, an agent each.
  void change(std::uint64_t number) {
    auto& other = others_[number % others_.size()];
    other.change(number % agents_each);
    news_.push_back(other.seen());
    pages_.push_back(other.page());
  }

  /// It hears of them.
  void hear_all() {
    for (std::size_t each = 0; each < news_.size(); ++each) {
      step(std::move(news_[each]));
      fetch(std::move(pages_[each]));
    }
    news_.clear();
    pages_.clear();
  }

  void lead() {
    step(node_core::lead{});
  }

  /// A node is linked, and gone again.
  void link(std::uint64_t number) {
    auto node = others_[number % others_.size()].id();
    step(cluster::liveness::link_up{node, 1});
    step(cluster::liveness::link_down{node, 1, "lost"});
  }

  [[nodiscard]] std::size_t behind() const {
    return it_.behind();
  }

private:
  void hear_of(other_node& which) {
    step(which.seen());
    fetch(which.page());
  }

  /// It asks for what it has heard of, and gets that: where there is no link, after a second.
  void fetch(cluster::told_records page) {
    now_ += std::chrono::seconds{2};
    out_.clear();
    it_.tick(now_, out_);
    for (auto& each : out_)
      if (auto* asks = std::get_if<cluster::record_exchange::ask>(&each)) {
        auto id = asks->id;
        return step(cluster::record_exchange::answered{{{std::move(page)}}}, id);
      }
  }

  void step(node_core::event what, request_id id = 0) {
    out_.clear();
    it_.step(now_, id, std::move(what), out_);
  }

  node_core it_;
  std::vector<other_node> others_;
  std::vector<node_core::member_is> news_;
  std::vector<cluster::told_records> pages_;
  node_core::effects out_;
  time_point now_{std::chrono::hours{1}};
};

void print(const char* what, std::uint64_t nodes, const char* figure, double value) {
  std::cout << nlohmann::ordered_json{{"benchmark", what}, {"nodes", nodes}, {figure, value}}
            << '\n';
}

} // namespace

int main(int count, char** words) {
  auto nodes = count > 1 ? std::stoull(words[1]) : 1'000ULL;
  auto steps = nodes * 200;
  one_node it{nodes};
  for (std::uint64_t each = 0; each < 20 * nodes; ++each)
    it.change(each);
  auto took = seconds_of([&] { it.hear_all(); });
  if (it.behind() > 0)
    throw std::runtime_error{"it has not taken in what it was told"};
  print("node_core_news", nodes, "changes_per_s", static_cast<double>(20 * nodes) / took);
  it.lead();
  took = seconds_of([&] {
    for (std::uint64_t each = 0; each < steps; ++each)
      it.link(each);
  });
  print("node_core_links", nodes, "steps_per_s", static_cast<double>(2 * steps) / took);
}
