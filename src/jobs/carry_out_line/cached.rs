//! A reading that serves many lines for a while.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::Mutex;

/// The last reading of something. Who comes while it is being read waits for that.
#[derive(Debug)]
pub(super) struct Cached<T> {
    last: Mutex<Option<(Instant, Arc<T>)>>,
}

impl<T> Default for Cached<T> {
    fn default() -> Self {
        Self { last: Mutex::default() }
    }
}

impl<T> Cached<T> {
    /// The last reading, if it is younger than this, or a new one. A failure is not kept. With an age of nothing, one that
    /// was begun since the call serves as well, so that many who ask at once ask upstream once or twice.
    pub(super) async fn get<E>(
        &self,
        age_max: Duration,
        read: impl Future<Output = Result<T, E>>,
    ) -> Result<Arc<T>, E> {
        let called_at = Instant::now();
        let mut last = self.last.lock().await;
        if let Some((read_at, value)) = last.as_ref()
            && (*read_at >= called_at || read_at.elapsed() < age_max)
        {
            return Ok(Arc::clone(value));
        }
        let asked_at = Instant::now();
        let value = Arc::new(read.await?);
        // As old as the question: what happened while it was answered may be missing in it.
        *last = Some((asked_at, Arc::clone(&value)));
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_reading_serves_until_it_is_old_and_a_failure_is_not_kept() {
        let cached = Cached::default();
        let hour = Duration::from_hours(1);
        assert_eq!(cached.get(hour, async { Err::<u8, _>("down") }).await, Err("down"));
        assert_eq!(cached.get(hour, async { Ok::<_, &str>(1) }).await.map(|v| *v), Ok(1));
        assert_eq!(cached.get(hour, async { Ok::<_, &str>(2) }).await.map(|v| *v), Ok(1));
        assert_eq!(cached.get(Duration::ZERO, async { Ok::<_, &str>(3) }).await.map(|v| *v), Ok(3));
    }
}
