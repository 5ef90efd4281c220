//! The rules, broken one by one. For each there is a search that must find what the rule prevents.

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use super::{Limits, Names, properties};

/// A rule that is broken.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mutation {
    /// The request is written, and the ledger not told first.
    NoIntent,
    /// The last word about a placement is believed, even after an acceptance.
    AcceptedDoesNotAbsorb,
    /// A request whose answer is missing is simply sent again.
    DoubtIsRetried,
    /// What was found upstream is not told to the ledger.
    EvidenceIsIgnored,
    /// A name that is shown is believed to be the line's own.
    AnyNameIsEvidence,
    /// Two lines may buy one name at a time: neither waits, and no index keeps them apart.
    NamesDoNotWait,
    /// Two lines may make one contact at a time.
    ContactsAreNotUnique,
    /// The intent doesn't ask whether an earlier placement was accepted after all.
    IntentIgnoresAcceptance,
}

/// Searches for a violation of `property`, and fails if there is none.
fn assert_caught(mutation: Mutation, limits: Limits, property: &'static str) {
    let checker = Names::new(limits)
        .broken_by(mutation)
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

/// Enough for most of them.
const ONE: Limits = Limits::REGISTRATION.with_mishaps(2);

#[test]
fn without_an_intent_nobody_knows_what_was_sent() {
    assert_caught(Mutation::NoIntent, ONE, properties::INTENDED);
}

#[test]
fn an_intent_that_ignores_an_acceptance_buys_again() {
    assert_caught(Mutation::IntentIgnoresAcceptance, ONE, properties::BY_THE_LEDGER);
}

#[test]
fn without_absorption_what_was_accepted_is_forgotten() {
    assert_caught(Mutation::AcceptedDoesNotAbsorb, ONE, properties::ABSORBS);
}

#[test]
fn a_blind_retry_buys_a_name_twice() {
    assert_caught(Mutation::DoubtIsRetried, Limits::INCOMING, properties::ONE_FOR_A_LINE);
}

#[test]
fn evidence_that_is_ignored_leaves_the_ledger_behind() {
    assert_caught(Mutation::EvidenceIsIgnored, ONE, properties::COMPLETED);
}

#[test]
fn evidence_of_anybodys_name_completes_what_was_never_bought() {
    assert_caught(Mutation::AnyNameIsEvidence, ONE, properties::COMPLETED);
}

#[test]
fn two_lines_that_do_not_wait_buy_one_name_twice() {
    assert_caught(Mutation::NamesDoNotWait, Limits::ONE_NAME_TWICE, properties::BOUGHT_ONCE);
}

#[test]
fn two_lines_make_one_contact_twice_without_its_index() {
    assert_caught(Mutation::ContactsAreNotUnique, Limits::TWO_NAMES, properties::CONTACTS);
}
