#pragma once

#include <chrono>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "troupe/cluster/cards/member_card.hpp"
#include "troupe/cluster/datagram_ways.hpp"
#include "troupe/cluster/swim.hpp"
#include "troupe/cluster/swim_options.hpp"
#include "troupe/cluster/swim_types.hpp"
#include "troupe/core/codec.hpp"
#include "troupe/core/ids.hpp"
#include "troupe/core/machine.hpp"
#include "troupe/core/memory_budget.hpp"
#include "troupe/core/signature.hpp"
#include "troupe/core/time.hpp"
#include "troupe/core/visit.hpp"
#include "troupe/security/datagram_book.hpp"

namespace troupe::cluster {

/// What a node needs to be a member: who it is, and what it shows others of that.
struct sealed_swim_setup {
  public_key key{};
  /// Its present life.
  boot_number boot = 0;
  /// The keys of that life, offered to others in the card.
  security::key_agreement agreement;
  security::boot_salt salt{};
  /// Made with `key`: of the offer_of_life that these make.
  signature of_offers{};
  /// In PEM; empty with insecure links.
  std::string certificate{};
  swim_options swim{};
};

/// A node among the members of its cluster: what `swim` does, in datagrams that only the one reads
/// to whom they go.
///
/// - First contact is a link: over it members exchange their cards, and pass on those of others.
///   What is in a card is signed by the node that it is of. So nobody speaks for another.
/// - Who is heard of in a later life than the card that is known is asked for by its present one.
/// - The offer in a card that another member has passed on is looked at before the first datagram
///   to or from its node, and before the card is passed on: where many nodes start at once, each
///   would look at those of all others first. If its node has not signed it, that is asked itself.
/// - A peer that cannot read what this node sends has started again, or has missed that this one
///   has: they exchange cards again.
///
/// Steps like any machine; deterministic but for the keys. No snapshot: a node that starts again
/// asks the others. Not thread-safe. Cost of a step: that of `swim`, and about 2 us for a datagram;
/// of a card one signature, about 0.15 ms, and one more once its offer is needed.
///
/// It counts on its host for what `swim` does.
class sealed_swim {
public:
  // -- events ----------------------------------------------------------------------------

  /// A card has come over a link, and its node may be a member: if there are certificates, that in
  /// the card is the node's own.
  struct met {
    member_card card;
    /// The node has shown it itself: others may not know it yet.
    bool is_news = true;
  };

  /// A datagram has come.
  struct arrived {
    std::string datagram;
  };

  /// The certificate of this node is another one from here on, in PEM.
  struct certified {
    std::string certificate;
  };

  /// Its certificate does not count any more: nothing is written to it, and it is not heard.
  struct barred {
    node_id who;
  };

  using event = std::variant<met, arrived, certified, barred, swim::begin, swim::moved, swim::holds,
                             swim::stated, swim::told, swim::reached, swim::doubted, swim::not_sent,
                             swim::leave>;

  // -- effects ---------------------------------------------------------------------------

  struct send {
    node_id to;
    std::string address;
    std::string datagram;
  };

  /// Send it back to where the datagram of this step came from.
  struct reply {
    std::string datagram;
  };

  /// Exchange cards with that member, over a link.
  struct introduce {
    node_id to;
  };

  /// No datagram of any member comes here, of which `last` is one: that one and further ones have
  /// no `no_datagrams` meanwhile.
  struct cut_off {
    node_id last;
  };

  struct cut_off_no_more {};

  using effect = std::variant<send, reply, introduce, cut_off, cut_off_no_more, swim::reach,
                              swim::sign, swim::spoke, swim::ask, swim::sync, swim::shows,
                              swim::forgot, swim::no_datagrams, swim::datagrams_again,
                              swim::complain, swim::met_itself, swim::was_dead>;
  using effects = std::vector<effect>;

  sealed_swim(sealed_swim_setup how, std::uint64_t seed, swim::verifier check = &verify)
    : self_(id_of(how.key)),
      is_signed_(check),
      book_(self_, std::move(how.agreement), how.salt, how.swim.max_members,
            [this](const node_id& peer) { return proves(peer); }),
      own_{
        how.key, {}, {self_, how.boot, book_.offer()}, how.of_offers, std::move(how.certificate)},
      swim_(self_, how.boot, how.swim, seed, check) {}

  sealed_swim(const sealed_swim&) = delete;
  sealed_swim& operator=(const sealed_swim&) = delete;

  /// @pre `now` never goes backwards.
  void step(time_point now, request_id, event what, effects& out) {
    now_ = now;
    out_ = &out;
    from_ = self_;
    has_looked_ = false;
    troupe::visit([this](auto& each) { handle(each); }, what);
    drop_refuted();
    out_ = nullptr;
  }

  void tick(time_point now, effects& out) {
    now_ = now;
    out_ = &out;
    from_ = self_;
    swim::effects made;
    swim_.tick(now, made);
    pass_on(made);
    drop_refuted();
    out_ = nullptr;
  }

  [[nodiscard]] std::optional<time_point> next_deadline() const {
    return swim_.next_deadline();
  }

  // -- what it knows ---------------------------------------------------------------------

  [[nodiscard]] const swim& members() const {
    return swim_;
  }

  /// Nothing of strangers, of those whose present life is not known, or have not signed what came
  /// as their card, and of this node before it has said anything. Not const, as it may look at the
  /// offer.
  [[nodiscard]] std::optional<member_card> card_of(const node_id& who) {
    if (who == self_) {
      if (!swim_.own())
        return std::nullopt;
      auto made = own_;
      made.said = *swim_.own();
      return made;
    }
    auto kept = cards_.find(who);
    auto known = swim_.card_of(who);
    if (kept == cards_.end() || !known
        || known->what.what.when.boot != kept->second.card.offers.boot || !proves(who))
      return std::nullopt;
    auto made = kept->second.card;
    made.said = std::move(known->what);
    return made;
  }

  /// Calls `use(const node_id&, const std::string& certificate)` for each card that is kept.
  template <class Use>
  void for_each_certificate(Use use) const {
    for (auto& [node, each] : cards_)
      use(node, each.card.certificate);
  }

  /// Datagrams that were dropped.
  [[nodiscard]] const security::datagram_book::counts& dropped() const {
    return book_.counted();
  }

  /// What is wrong with its state, in words; empty if all is well. Cost: O(n log n).
  [[nodiscard]] std::vector<std::string> flaws() const {
    auto found = swim_.flaws();
    for (auto& [node, each] : cards_)
      if (!swim_.find(node))
        found.emplace_back("a card of nobody");
    if (book_.size() > cards_.size())
      found.emplace_back("keys of nobody");
    return found;
  }

private:
  /// Bytes in PEM, many times those of a certificate with an Ed25519 key: who reads some tens of
  /// cards at once has to have room for all of them.
  static constexpr std::size_t max_certificate = 8'192;
  /// Complaints in each second; further ones are left out. One member can give cause for any
  /// number, in far less time than the host takes for one.
  static constexpr std::size_t max_complaints = 20;

  struct kept_card {
    member_card card;
    /// Its node has signed the offer.
    bool is_proven = false;
  };

  template <class Event>
  requires std::constructible_from<swim::event, Event>
  void handle(Event& what) {
    if constexpr (std::same_as<Event, swim::told>)
      from_ = what.from;
    swim::effects made;
    swim_.step(now_, 0, std::move(what), made);
    pass_on(made);
  }

  void handle(certified& what) {
    own_.certificate = std::move(what.certificate);
  }

  /// It becomes a suspect, and nobody is there to hear it contradict.
  void handle(barred& what) {
    book_.bar(what.who);
    cards_.erase(what.who);
  }

  void handle(arrived& what) {
    auto found = book_.open(now_, what.datagram);
    troupe::visit([this](auto& each) { hear(each); }, found);
  }

  void hear(security::datagram_book::nothing&) {}

  void hear(security::datagram_book::question& what) {
    out_->push_back(reply{std::move(what.what)});
  }

  void hear(security::datagram_book::unread& what) {
    out_->push_back(introduce{what.by});
  }

  void hear(security::datagram_book::read& what) {
    constexpr std::size_t most_memory = 65'536;
    auto mail = from_bytes<swim_mail>(what.what, memory_budget{most_memory});
    if (!mail) {
      complain(what.from, "sends datagrams that this release does not read");
      return;
    }
    if (ways_.heard())
      out_->push_back(cut_off_no_more{});
    from_ = what.from;
    swim::heard heard{what.from, *std::move(mail)};
    swim::effects made;
    swim_.step(now_, 0, std::move(heard), made);
    pass_on(made);
  }

  void handle(met& what) {
    auto& card = what.card;
    auto& node = card.said.what.node;
    auto is_whole = id_of(card.key) == node && card.offers.node == node
                    && card.offers.boot == card.said.what.when.boot;
    if (card.certificate.size() > max_certificate) {
      complain(node, "has a card with a certificate that is too large");
      return;
    }
    auto is_proven = is_whole && is_known_signed(card);
    if (is_proven) // who passes it on may have changed the signature
      card.of_offers = cards_.at(node).card.of_offers;
    auto looks_now = what.is_news || offers_otherwise(card.offers);
    if (!is_whole || (looks_now && !is_proven && !is_signed(card))) {
      complain(node, card_not_signed);
      return;
    }
    from_ = node;
    swim::effects made;
    swim_.step(now_, 0, swim::introduced{card.key, card.said, what.is_news}, made);
    keep({std::move(card), looks_now || is_proven});
    pass_on(made);
  }

  static constexpr const char* card_not_signed = "has a card that it has not signed";

  /// Whether its offer has been found to be signed before.
  [[nodiscard]] bool is_known_signed(const member_card& card) const {
    auto kept = cards_.find(card.offers.node);
    return kept != cards_.end() && kept->second.is_proven && kept->second.card.key == card.key
           && kept->second.card.offers == card.offers;
  }

  [[nodiscard]] bool is_signed(const member_card& card) const {
    return is_signed_(card.key, to_be_signed(card.offers), card.of_offers);
  }

  /// Whether the card of that life which is kept has another offer.
  [[nodiscard]] bool offers_otherwise(const offer_of_life& what) const {
    auto kept = cards_.find(what.node);
    return kept != cards_.end() && kept->second.card.offers.boot == what.boot
           && kept->second.card.offers != what;
  }

  /// Whether the node of a card that is kept has signed the offer in it; if not, the card is
  /// dropped at the end of the step.
  bool proves(const node_id& who) {
    auto kept = cards_.find(who);
    if (kept == cards_.end())
      return false;
    auto& [card, is_proven] = kept->second;
    if (is_proven)
      return true;
    is_proven = is_signed(card);
    if (!is_proven)
      refuted_.insert(who);
    return is_proven;
  }

  /// Whoever has passed the card on may be the one that lies: its node is asked itself.
  void drop_refuted() {
    for (auto& node : std::exchange(refuted_, {})) {
      auto kept = cards_.find(node);
      if (kept == cards_.end() || kept->second.is_proven)
        continue; // another one has come
      cards_.erase(kept);
      book_.forget(node);
      complain(node, card_not_signed);
      out_->push_back(introduce{node});
    }
  }

  /// If its node has become a member, or was one.
  void keep(kept_card what) {
    auto& card = what.card;
    auto& offers = card.offers;
    auto known = swim_.find(offers.node);
    if (!known || known->when.boot != offers.boot)
      return;
    // Either may be the one that goes on, so the last one counts.
    if (offers_otherwise(offers) && proves(offers.node))
      complain(offers.node, "shows other keys than before in the same life: two processes have its "
                            "identity, or it runs with an older copy of its data folder");
    if (auto why = book_.know(offers.node, offers.boot, offers.offer)) {
      complain(offers.node, why.detail);
      return;
    }
    auto node = offers.node;
    cards_.insert_or_assign(node, std::move(what));
  }

  // -- what swim does --------------------------------------------------------------------

  void pass_on(swim::effects& made) {
    for (auto& each : made)
      troupe::visit([this](auto& what) { this->perform(what); }, each);
  }

  template <class Effect>
  void perform(Effect& what) {
    out_->push_back(std::move(what));
  }

  void perform(swim::send& what) {
    // Of whom no key is known yet, a card is on its way, or it is asked for again.
    if (auto sealed = book_.seal(what.to, to_bytes(what.what)))
      out_->push_back(send{what.to, std::move(what.address), *std::move(sealed)});
    else if (sealed.error().code != errc::not_found)
      complain(what.to, sealed.error().detail);
  }

  void perform(swim::complain& what) {
    complain(what.of, std::move(what.what));
  }

  void complain(const node_id& of, std::string what) {
    if (complains_since_ + std::chrono::seconds{1} <= now_) {
      complains_since_ = now_;
      complaints_ = 0;
    }
    if (++complaints_ <= max_complaints)
      out_->push_back(swim::complain{of, std::move(what)});
  }

  /// Nobody else speaks for this node. One look in a step: who has another life of it tell that
  /// needs no more, and a liar could have it look at any number.
  void perform(swim::met_itself& what) {
    if (std::exchange(has_looked_, true))
      return;
    auto& said = what.what;
    if (is_signed_(own_.key, to_be_signed(said.what), said.by))
      out_->push_back(std::move(what));
  }

  void perform(swim::shows& what) {
    auto kept = cards_.find(what.who);
    auto is_later = kept != cards_.end() && kept->second.card.offers.boot < what.when.boot;
    auto who = what.who;
    out_->push_back(std::move(what));
    if (is_later)
      out_->push_back(swim::ask{who, from_ == self_ ? who : from_});
  }

  void perform(swim::no_datagrams& what) {
    switch (ways_.lost(what.to)) {
      case datagram_ways::news::none:
        return;
      case datagram_ways::news::of_one:
        out_->push_back(what);
        return;
      case datagram_ways::news::of_all:
        out_->push_back(cut_off{what.to});
    }
  }

  void perform(swim::forgot& what) {
    book_.forget(what.who);
    cards_.erase(what.who);
    out_->push_back(what);
  }

  const node_id self_;
  const swim::verifier is_signed_;
  security::datagram_book book_;
  /// Without what it says, which is `swim_`'s.
  member_card own_;
  swim swim_;
  datagram_ways ways_;
  std::map<node_id, kept_card> cards_;
  /// Nodes that have not signed what is kept as their card.
  std::set<node_id> refuted_;
  /// Since when those that follow are counted.
  time_point complains_since_{};
  std::size_t complaints_ = 0;
  /// While a step runs.
  time_point now_{};
  effects* out_ = nullptr;
  /// From whom its news is.
  node_id from_{};
  /// Whether what is said in the name of this node is signed.
  bool has_looked_ = false;
};

} // namespace troupe::cluster
