//! Hearing of new wakes, so that a paid order is picked up at once.

use std::{pin::pin, time::Duration};

use tokio::time::timeout;

use super::alarm::Alarm;
use crate::db::{Database, DbError, listen::WakeListener, wakes::Lane};

/// How long after a notification it is looked once more, and after that look again: intake notifies at most once in 2 ms
/// (migrations, `provisor.notify_workers`), and of what is committed within them nobody tells. The first look finds most of
/// it early, the second what was committed in the end, the third what took its time.
const LOOKS: [Duration; 3] =
    [Duration::from_micros(1500), Duration::from_micros(1500), Duration::from_millis(22)];

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
        // The same wait goes on after a look: it may be in the middle of making a lost connection anew.
        let mut heard = pin!(listener.heard());
        let mut looks = LOOKS.iter();
        let told = loop {
            let Some(&pause) = looks.next() else { break heard.await };
            // While others follow at once, each finds what was committed just after the one before.
            match timeout(pause, heard.as_mut()).await {
                Ok(told) => break told,
                Err(_) => alarm.look_in(Duration::ZERO),
            }
        };
        if let Err(error) = told {
            return error;
        }
        alarm.ring_for(Lane::Place, Duration::ZERO);
    }
}
