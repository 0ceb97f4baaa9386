#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/bootstrap.hpp"
#include "troupe/core/result.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/net/address.hpp"
#include "troupe/net/gate.hpp"
#include "troupe/net/peer_policy.hpp"
#include "troupe/net/resolver.hpp"

namespace troupe::cluster {

/// Finds out whether a node without a cluster founds one or joins one: asks other nodes and answers
/// them, as `bootstrap` decides.
class founding {
public:
  /// How it has ended.
  enum class outcome : std::uint8_t { found, join, refused, stopped };

  struct result {
    outcome what = outcome::stopped;
    /// Of `refused`.
    problem why{};
    /// For the log.
    std::string text{};
  };

  struct surroundings {
    /// Puts the record on the disk. May block.
    std::function<problem(const founding_record&)> keep;
    /// See bootstrap::standing. Must not block.
    std::function<void(const problem&)> standing;
  };

  /// Questions of others that wait; more are refused.
  static constexpr std::size_t max_questions = 128;

  /// `where`: the places of `how`, which it fills in.
  founding(bootstrap_options how, const std::vector<net::address>& where, founding_record saved,
           surroundings around)
    : around_(std::move(around)) {
    for (auto& each : where) {
      how.places.insert(to_string(each));
      places_.emplace(to_string(each), each);
    }
    machine_.emplace(std::move(how), std::move(saved), now());
    inbox_->last = machine_->word();
  }

  /// A node asks. Thread-safe; does not block.
  void hear(net::founding_inquiry what, std::function<void(net::bootstrap_reply)> done) {
    std::unique_lock guard{inbox_->mutex};
    if (inbox_->is_over) {
      auto word = inbox_->last;
      guard.unlock();
      return done({.said = net::verdict::go, .word = word});
    }
    if (inbox_->questions >= max_questions) {
      guard.unlock();
      return done({.said = net::verdict::full});
    }
    ++inbox_->questions;
    inbox_->jobs.emplace_back([this, what = std::move(what), done = std::move(done)]() mutable {
      {
        std::lock_guard counting{inbox_->mutex};
        --inbox_->questions;
      }
      auto id = ++last_question_;
      questions_.emplace(id, std::move(done));
      step(bootstrap::heard{what.from, std::move(what.name), {}, id});
      questions_.erase(id);
    });
    inbox_->changed.notify_all();
  }

  /// Blocks until it is known how it ends, or `stop` is requested. Called once; `gate` runs.
  result run(net::gate& gate, const std::stop_token& stop) {
    gate_ = &gate;
    while (!end_ && !stop.stop_requested()) {
      bootstrap::effects out;
      machine_->tick(now(), out);
      carry_out(out);
      for (auto& each : take(stop))
        each();
    }
    std::unique_lock guard{inbox_->mutex};
    inbox_->is_over = true;
    inbox_->last = machine_->word();
    auto rest = std::exchange(inbox_->jobs, {});
    guard.unlock();
    for (auto& each : rest)
      each(); // who waits for an answer gets one
    return end_.value_or(result{});
  }

private:
  using job_list = std::deque<std::function<void()>>;

  /// Outlives this while answers are under way.
  struct inbox {
    std::mutex mutex;
    std::condition_variable_any changed;
    job_list jobs{};
    std::size_t questions = 0;
    bool is_over = false;
    net::founding_word last{};
  };

  static time_point now() {
    return time_point{std::chrono::steady_clock::now().time_since_epoch()};
  }

  /// Waits until there are jobs, or the machine has a deadline.
  job_list take(const std::stop_token& stop) {
    std::unique_lock guard{inbox_->mutex};
    auto has_jobs = [this] { return !inbox_->jobs.empty(); };
    if (auto due = machine_->next_deadline()) {
      auto at = std::chrono::steady_clock::time_point{
        std::chrono::duration_cast<std::chrono::steady_clock::duration>(due->time_since_epoch())};
      inbox_->changed.wait_until(guard, stop, at, has_jobs);
    }
    return std::exchange(inbox_->jobs, {});
  }

  void step(const bootstrap::event& what) {
    bootstrap::effects out;
    machine_->step(now(), what, out);
    carry_out(out);
  }

  /// In their order, and none after a write that has failed.
  void carry_out(const bootstrap::effects& all) {
    for (auto& each : all)
      if (auto* record = std::get_if<bootstrap::write>(&each)) {
        if (auto why = around_.keep(record->what))
          return step(bootstrap::not_written{std::move(why)});
      } else {
        troupe::visit([this](auto& one) { perform(one); }, each);
      }
  }

  void perform(const bootstrap::write&) {}

  void perform(const bootstrap::reply& what) {
    if (auto found = questions_.find(what.question); found != questions_.end())
      found->second({.said = net::verdict::go, .word = what.word});
  }

  void perform(const bootstrap::ask& what) {
    for (auto& [place, where] : places_) {
      if (!asked_.insert(place).second)
        continue;
      // The answer comes on another thread, perhaps after this has gone.
      resolver_.find(where, [this, box = inbox_, called = place,
                             word = what.word](const net::resolver::endpoints& at) {
        post(box, [this, box, called, word, at] { ask(box, called, word, at); });
      });
    }
  }

  void ask(const std::shared_ptr<inbox>& box, const std::string& place,
           const net::founding_word& word, const net::resolver::endpoints& at) {
    if (!at)
      return answered(place, problem{errc::unreachable, at.error().detail});
    gate_->ask(*at, word, [this, box, place](troupe::result<net::gate::told> said) {
      post(box, [this, place, said = std::move(said)] { answered(place, said); });
    });
  }

  /// Drops the job once this is over.
  static void post(const std::shared_ptr<inbox>& to, std::function<void()> job) {
    std::lock_guard guard{to->mutex};
    if (to->is_over)
      return;
    to->jobs.push_back(std::move(job));
    to->changed.notify_all();
  }

  void answered(const std::string& place, const troupe::result<net::gate::told>& said) {
    asked_.erase(place);
    if (!said)
      return step(bootstrap::unanswered{place, said.error()});
    if (said->cluster != cluster_id{})
      return step(bootstrap::cluster_seen{place});
    step(bootstrap::heard{said->from, said->name, place, 0});
  }

  void perform(const bootstrap::found& what) {
    end_ = result{outcome::found, {}, what.text};
  }

  void perform(const bootstrap::join& what) {
    end_ = result{outcome::join, {}, "joins the cluster of the node at " + what.place};
  }

  void perform(const bootstrap::refuse& what) {
    end_ = result{outcome::refused, what.why, {}};
  }

  void perform(const bootstrap::standing& what) {
    around_.standing(what.why);
  }

  const surroundings around_;
  const std::shared_ptr<inbox> inbox_ = std::make_shared<inbox>();
  net::gate* gate_ = nullptr;
  net::resolver resolver_;
  std::optional<bootstrap> machine_;
  std::map<std::string, net::address> places_;
  /// Places whose answer is under way.
  std::set<std::string> asked_;
  std::map<std::uint64_t, std::function<void(net::bootstrap_reply)>> questions_;
  std::uint64_t last_question_ = 0;
  std::optional<result> end_;
};

} // namespace troupe::cluster
