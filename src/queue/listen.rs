//! Hearing of new wakes, so that a paid order is picked up at once.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

use super::alarm::Alarm;
use crate::db::{Database, DbError, listen::WakeListener, wakes::Lane};

/// Intake notifies at most once in this time, so what was committed just after a notification is looked for once more
/// (migrations, `provisor.notify_workers`).
const DEBOUNCE: Duration = Duration::from_millis(25);

/// How long after a lost connection the next one is tried. Meanwhile the poll interval finds everything.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);

/// Listens for ever, and rings the alarm.
pub async fn listen(db: &Database, alarm: &Alarm) {
    loop {
        match db.listen().await {
            Ok(mut listener) => {
                // What was committed before the LISTEN was not heard of.
                alarm.ring();
                let error = hear(&mut listener, alarm).await;
                tracing::warn!(
                    error = %crate::causes::causes(&error),
                    "no longer hears of new orders at once; polls"
                );
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

/// Rings for each notification, until the connection is lost. What is told of is nearly always a new order.
async fn hear(listener: &mut WakeListener, alarm: &Alarm) -> DbError {
    loop {
        let mut heard = pin!(listener.heard());
        // While others follow at once, each finds what was committed just after the one before.
        let told = if let Ok(told) = timeout(DEBOUNCE, heard.as_mut()).await {
            told
        } else {
            alarm.look_in(Duration::ZERO);
            // The same wait goes on: it may be in the middle of making a lost connection anew.
            heard.await
        };
        if let Err(error) = told {
            return error;
        }
        alarm.ring_for(Lane::Place, Duration::ZERO);
    }
}
