//! Whether this replica takes work on.

use tokio::sync::watch;

/// Whether this replica takes work on, and why not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Readiness {
    /// Nothing has been looked at yet.
    Starting,
    /// The database answers, and its schema serves this binary.
    Ready,
    /// In one sentence why not. It is shown to whoever asks: no URL, no data.
    NotReady(String),
    /// Stopping: nothing more is claimed.
    Draining,
}

/// By which the wiring tells of a change. While nobody holds one, nobody is ready.
pub type ReadinessSender = watch::Sender<Readiness>;

/// What the wiring told last.
#[derive(Clone, Debug)]
pub struct ReadinessReceiver(watch::Receiver<Readiness>);

impl Readiness {
    /// A channel that begins with [`Readiness::Starting`].
    #[must_use]
    pub fn channel() -> (ReadinessSender, ReadinessReceiver) {
        let (sender, receiver) = watch::channel(Self::Starting);
        (sender, ReadinessReceiver(receiver))
    }
}

impl ReadinessReceiver {
    /// The reason on one line, or `None` if ready.
    #[must_use]
    pub fn why_not(&self) -> Option<String> {
        // Whoever watched over the database is gone, and with it what its last word was worth.
        if self.0.has_changed().is_err() {
            return Some("nothing watches over the database any more".to_owned());
        }
        match &*self.0.borrow() {
            Readiness::Ready => None,
            Readiness::Starting => Some("starting".to_owned()),
            Readiness::Draining => Some("draining".to_owned()),
            Readiness::NotReady(reason) => {
                Some(reason.split_whitespace().collect::<Vec<_>>().join(" "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_has_its_reason_on_one_line() {
        let (sender, receiver) = Readiness::channel();
        assert_eq!(receiver.why_not().as_deref(), Some("starting"));
        sender.send_replace(Readiness::NotReady("the schema\nis too  old".to_owned()));
        assert_eq!(receiver.why_not().as_deref(), Some("the schema is too old"));
        sender.send_replace(Readiness::Ready);
        assert_eq!(receiver.why_not(), None);
        sender.send_replace(Readiness::Draining);
        assert_eq!(receiver.why_not().as_deref(), Some("draining"));
    }

    #[test]
    fn without_a_sender_nobody_is_ready() {
        let (sender, receiver) = Readiness::channel();
        sender.send_replace(Readiness::Ready);
        drop(sender);
        assert_eq!(
            receiver.why_not().as_deref(),
            Some("nothing watches over the database any more")
        );
    }
}
