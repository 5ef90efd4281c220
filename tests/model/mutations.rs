//! The rules, broken one by one. For each there is a search that must find what the rule prevents: a model that can't
//! see a fault proves nothing by not seeing any.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use crate::{Limits, Provisor, properties};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mutation {
    /// The request is written, and the ledger not told first.
    NoIntent,
    /// A run that lost its line may still write it down.
    RecordIsNotFenced,
    /// The last word about a placement is believed, even after an acceptance.
    AcceptedDoesNotAbsorb,
    /// An answer that comes after the lease was lost is thrown away.
    TruthIsFenced,
    /// `cancel_order` takes a line that is being placed.
    CancelIgnoresStatus,
    /// The second placement bears the tag of the first.
    TagIsReused,
    /// A run that parks its line takes no notice of a poke meanwhile.
    ParkIgnoresKicks,
    /// A request whose answer is missing is simply sent again.
    DoubtIsRetried,
    /// Telling the ledger about an attempt again is not the same as telling it once.
    AttemptSettlesTwice,
    /// The line goes on by its latest placement, whatever became known of an earlier one.
    OnlyTheLatestCounts,
    /// The acceptance of a placement that was given up is not followed.
    GivenUpStaysGivenUp,
    /// What was found upstream is not told to the ledger.
    EvidenceIsIgnored,
    /// An order is believed to be the one in doubt though its tag is another's.
    AnyOrderIsEvidence,
    /// The intent doesn't ask whether an earlier placement was accepted after all.
    IntentIgnoresAcceptance,
    /// A line may be ended although an answer has come late that it was bought.
    AbandonIgnoresAcceptance,
}

/// Searches for a violation of `property`, and fails if there is none.
fn assert_caught(mutation: Mutation, property: &'static str) {
    assert_caught_within(Limits::SMALL, mutation, property);
}

fn assert_caught_within(limits: Limits, mutation: Mutation, property: &'static str) {
    let model = Provisor::new(limits).broken_by(mutation);
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AllOf(BTreeSet::from([property])))
        .spawn_bfs()
        .join();
    let path = checker.assert_any_discovery(property);
    println!(
        "{mutation:?}: \"{property}\" is violated after {} actions, found among {} states: {:?}",
        path.clone().into_actions().len(),
        checker.unique_state_count(),
        path.into_actions()
    );
}

#[test]
fn without_an_intent_a_crash_buys_twice() {
    assert_caught(Mutation::NoIntent, properties::INTENDED);
    assert_caught(Mutation::NoIntent, properties::ONE_FOR_A_TAG);
}

#[test]
fn without_a_fence_a_zombie_stops_the_line() {
    assert_caught(Mutation::RecordIsNotFenced, properties::AT_REST);
}

#[test]
fn without_absorption_an_acceptance_is_forgotten() {
    assert_caught(Mutation::AcceptedDoesNotAbsorb, properties::ABSORBS);
}

#[test]
fn with_the_truth_fenced_an_acceptance_is_lost() {
    assert_caught(Mutation::TruthIsFenced, properties::HEARD);
}

#[test]
fn without_its_comparison_cancel_takes_back_what_was_sent() {
    assert_caught(Mutation::CancelIgnoresStatus, properties::CANCELLED);
}

#[test]
fn without_a_new_tag_one_tag_buys_twice() {
    assert_caught(Mutation::TagIsReused, properties::ONE_FOR_A_TAG);
}

#[test]
fn without_a_look_at_the_kicks_a_poke_is_lost() {
    assert_caught(Mutation::ParkIgnoresKicks, properties::AT_REST);
}

#[test]
fn a_blind_retry_buys_twice() {
    assert_caught(Mutation::DoubtIsRetried, properties::ONE_FOR_A_LINE);
}

#[test]
fn an_attempt_settled_twice_buys_twice() {
    assert_caught(Mutation::AttemptSettlesTwice, properties::ONE_FOR_A_LINE);
}

#[test]
fn evidence_that_is_ignored_leaves_the_ledger_behind() {
    let ignored = Mutation::EvidenceIsIgnored;
    assert_caught_within(Limits::EVIDENCE, ignored, properties::KNOWN);
}

#[test]
fn evidence_of_anybodys_order_completes_what_was_never_bought() {
    let anybodys = Mutation::AnyOrderIsEvidence;
    assert_caught_within(Limits::EVIDENCE, anybodys, properties::COMPLETED);
}

#[test]
fn an_intent_that_ignores_an_acceptance_buys_again() {
    assert_caught(Mutation::IntentIgnoresAcceptance, properties::BY_THE_LEDGER);
}

#[test]
fn an_end_that_ignores_an_acceptance_leaves_an_order_unfollowed() {
    assert_caught(Mutation::AbandonIgnoresAcceptance, properties::AT_REST);
}

#[test]
fn a_line_that_looks_at_its_latest_placement_alone_misses_its_order() {
    assert_caught(Mutation::OnlyTheLatestCounts, properties::AT_REST);
}

#[test]
fn a_line_that_was_given_up_must_follow_its_order_all_the_same() {
    assert_caught(Mutation::GivenUpStaysGivenUp, properties::AT_REST);
}
