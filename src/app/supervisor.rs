//! Telling systemd how the daemon fares (Type=notify). Where no `NOTIFY_SOCKET` is given, nothing is told.

use sd_notify::{NotifyState, notify, watchdog_enabled};

/// Whether the supervisor kills a process that is silent for too long.
pub(super) fn is_watching() -> bool {
    watchdog_enabled().is_some()
}

/// The process has started: it listens. Whether it can work hangs on the database, which has its own time to come; so that
/// is no part of the start.
pub(super) fn started() {
    tell(&[NotifyState::Ready]);
}

/// One sentence for `systemctl status`.
pub(super) fn status(sentence: &str) {
    tell(&[NotifyState::Status(sentence)]);
}

/// The runtime turns over.
pub(super) fn beat() {
    tell(&[NotifyState::Watchdog]);
}

/// It drains, and ends.
pub(super) fn stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("ends what is under way")]);
}

/// A supervisor that does not listen changes nothing.
fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = notify(states) {
        tracing::debug!(%error, "the supervisor was not told");
    }
}
