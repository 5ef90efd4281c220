//! Hearing of new wakes, so that a paid order is picked up at once.

use std::time::Duration;

use super::alarm::Alarm;
use crate::db::{Database, wakes::Lane};

/// Intake notifies at most once in this time, so what was committed just after a notification is looked for once more
/// (migrations, `provisor.notify_workers`).
const DEBOUNCE: Duration = Duration::from_millis(25);

/// How long after a lost connection the next one is tried. Meanwhile the poll interval finds everything.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Listens for ever, and rings the alarm. What is told of is nearly always a new order.
pub async fn listen(db: &Database, alarm: &Alarm) {
    loop {
        match db.listen().await {
            Ok(mut listener) => {
                // What was committed before the LISTEN was not heard of.
                alarm.ring();
                loop {
                    match listener.heard().await {
                        Ok(_) => {
                            alarm.ring_for(Lane::Place, Duration::ZERO);
                            alarm.look_in(DEBOUNCE);
                        }
                        Err(error) => {
                            tracing::warn!(
                                error = %crate::causes::causes(&error),
                                "no longer hears of new orders at once; polls"
                            );
                            break;
                        }
                    }
                }
            }
            Err(error) => {
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    "does not hear of new orders at once; polls"
                );
            }
        }
        tokio::time::sleep(RECONNECT_AFTER).await;
    }
}
