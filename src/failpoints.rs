//! Places at which a test may end, stop or harm this process, to see what is left behind.
//!
//! They are there with the feature `failpoints` alone. Without it `failpoint!` is nothing, and no name of one is in the
//! binary. `PROVISOR_FAILPOINTS` says what happens where: `NAME=ACTION`, or `NAME=ACTION@N` for the N-th time that the
//! place is reached, several separated by commas. Each happens once in a process. An action is `kill`, `term`, `stop`
//! (this process gets that signal), `panic`, or `pause:MS`.

/// A place of this name; nothing without the feature `failpoints`.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        $crate::failpoints::reach($name);
    };
}

#[cfg(feature = "failpoints")]
pub(crate) use armed::reach;
#[cfg(feature = "failpoints")]
pub use armed::{NAMES, VARIABLE};

#[cfg(feature = "failpoints")]
mod armed {
    use std::{
        process::Command,
        sync::{LazyLock, Mutex, PoisonError},
        time::{Duration, Instant},
    };

    /// What happens where.
    pub const VARIABLE: &str = "PROVISOR_FAILPOINTS";

    /// All of them, in the order of a line's way. `tests/tidy` compares them with the places.
    pub const NAMES: &[&str] = &[
        // queue/: claims, runs, parks.
        "queue.before_claim",
        "queue.claimed",
        "queue.run",
        "queue.before_park",
        "queue.parked",
        // queue/: telling that this process lives, releasing what the dead held, taking leave.
        "presence.before_telling",
        "presence.told",
        "presence.released",
        "presence.before_leaving",
        "presence.left",
        // queue/: any group, of loads, records, parks or emails.
        "batch.gathered",
        "batch.flushed",
        // A line's run.
        "line.before_load",
        "line.loaded",
        "line.decided",
        "line.before_record",
        "line.recorded",
        "line.panicked",
        // What is read upstream.
        "read.catalogue",
        "read.tlds",
        "read.offer",
        "read.contacts",
        "read.contact",
        "read.order",
        "read.domain",
        "read.zone",
        "read.alternatives",
        "read.permitted",
        "read.answered",
        "read.learnt",
        // What has an effect upstream.
        "effect.prepared",
        "effect.permitted",
        "effect.connected",
        "effect.intended",
        "effect.may_send",
        "effect.before_first_byte",
        "effect.after_first_byte",
        "effect.answer_read",
        "effect.sent",
        "effect.told",
        "effect.learnt",
        "effect.recorded",
        // The transaction of a group commit.
        "commit.begun",
        "commit.locked",
        "commit.learnt",
        "commit.intended",
        "commit.lines_written",
        "commit.orders_derived",
        "commit.emails_owed",
        "commit.poked",
        "commit.before_commit",
        "commit.committed",
        // An email's run.
        "email.claimed",
        "email.loaded",
        "email.composed",
        "email.connected",
        "email.before_dot",
        "email.after_dot",
        "email.sent",
        "email.before_record",
        "email.recorded",
        // An order's own alarm.
        "review.begun",
        "review.before_commit",
        "review.done",
        // A wish for the renewal of a name that is there.
        "wish.loaded",
        "wish.seen",
        "wish.connected",
        "wish.noted",
        "wish.changed",
        // Customers made known to Leanstack.
        "customers.loaded",
        "customers.connected",
        "customers.added",
        "customers.noted",
        // What became of a line in doubt, and the list of the account's sites.
        "evidence.seen",
        "evidence.noted",
        "sites.listed",
        "sites.kept",
        // A person's word.
        "resolve.locked",
        "resolve.before_commit",
        "resolve.committed",
        // An audit: its begin, its stages, and its end.
        "audit.begun",
        "audit.read",
        "audit.looked",
        "audit.judged",
        "audit.priced",
        "audit.owing",
        "audit.reminded",
        "audit.ending",
        "audit.ended",
        // The house.
        "house.before_keeping",
        "house.kept",
    ];

    /// How long a process may outlive the signal that ends it.
    const DYING_MAX: Duration = Duration::from_secs(10);

    /// How long it may take until a stop has reached this thread, and how long it lasts at least.
    const STOPPING_MAX: Duration = Duration::from_mins(1);
    const STOPPED_MIN: Duration = Duration::from_secs(3);

    /// What happens at a place.
    #[derive(Clone, Debug)]
    enum Action {
        Signal(&'static str),
        Panic,
        Pause(Duration),
    }

    struct Armed {
        name: String,
        action: Action,
        /// So many times it is yet to be reached.
        left: u32,
    }

    static ARMED: LazyLock<Mutex<Vec<Armed>>> = LazyLock::new(|| {
        let told = std::env::var(VARIABLE).unwrap_or_default();
        let armed = told.split(',').filter(|one| !one.is_empty()).map(|one| {
            #[expect(
                clippy::panic,
                reason = "a test that misspells a place would wait for it in vain"
            )]
            let unknown = || panic!("{VARIABLE}: {one:?} is no NAME=ACTION@N");
            parse(one).unwrap_or_else(unknown)
        });
        Mutex::new(armed.collect())
    });

    fn parse(one: &str) -> Option<Armed> {
        let (name, what) = one.split_once('=')?;
        let (what, times) = what.split_once('@').unwrap_or((what, "1"));
        let action = match what.split_once(':') {
            Some(("pause", ms)) => Action::Pause(Duration::from_millis(ms.parse().ok()?)),
            Some(_) => return None,
            None => match what {
                "kill" => Action::Signal("KILL"),
                "term" => Action::Signal("TERM"),
                "stop" => Action::Signal("STOP"),
                "panic" => Action::Panic,
                _ => return None,
            },
        };
        let known = NAMES.contains(&name);
        known.then_some(Armed { name: name.to_owned(), action, left: times.parse().ok()? })
    }

    /// Does what `PROVISOR_FAILPOINTS` wants to happen here.
    pub(crate) fn reach(name: &'static str) {
        let Some(action) = due(name) else { return };
        tracing::warn!(failpoint = name, "reached");
        match action {
            // The other threads of the process go on meanwhile, as they would on their own.
            Action::Signal(signal) => tokio::task::block_in_place(|| send(signal)),
            Action::Pause(pause) => tokio::task::block_in_place(|| std::thread::sleep(pause)),
            #[expect(clippy::panic, reason = "this is what was asked for")]
            Action::Panic => panic!("on purpose, at {name}"),
        }
    }

    fn due(name: &str) -> Option<Action> {
        let mut armed = ARMED.lock().unwrap_or_else(PoisonError::into_inner);
        let one = armed.iter_mut().find(|one| one.name == name && one.left > 0)?;
        one.left -= 1;
        (one.left == 0).then(|| one.action.clone())
    }

    /// A signal stops one thread, and the others by way of it, which on a busy machine is a moment later: until then this
    /// one must not go on.
    fn stand_still(told: Instant) {
        let mut before = told;
        while told.elapsed() < STOPPING_MAX && before.elapsed() < STOPPED_MIN {
            before = Instant::now();
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The shell's own kill: it needs no crate and no unsafe code.
    fn send(signal: &str) {
        let told = Instant::now();
        let script = format!("kill -s {signal} \"$PPID\"");
        let sent = Command::new("/bin/sh").args(["-c", &script]).status();
        if !sent.is_ok_and(|status| status.success()) {
            std::process::abort();
        }
        match signal {
            "KILL" => {
                std::thread::sleep(DYING_MAX);
                std::process::abort();
            }
            "STOP" => stand_still(told),
            _ => {}
        }
    }
}
