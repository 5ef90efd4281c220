//! Signals and the drain.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// How far the process is on its way to the end.
#[derive(Clone, Debug, Default)]
pub struct Lifecycle {
    /// Nothing more is begun.
    pub stop: CancellationToken,
    /// Everything has ended: what served the work ends too.
    pub stopped: CancellationToken,
}

/// The exit status after a second signal: 128 + SIGINT, as shells say it.
const ENDED_AT_ONCE: i32 = 130;

impl Lifecycle {
    /// One that stops on SIGTERM or SIGINT. A second signal ends the process at once.
    pub fn by_signals() -> std::io::Result<Self> {
        let lifecycle = Self::default();
        let (terminate, interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stop = lifecycle.stop.clone();
        tokio::spawn(async move {
            let mut signals = (terminate, interrupt);
            either(&mut signals).await;
            tracing::info!("told to stop; a second signal ends at once");
            stop.cancel();
            either(&mut signals).await;
            tracing::warn!("ended at once by a second signal");
            std::process::exit(ENDED_AT_ONCE);
        });
        Ok(lifecycle)
    }
}

async fn either((terminate, interrupt): &mut (Signal, Signal)) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
