//! Group commit: the requests of many tasks go down together, at once when idle and in larger groups when busy: while one
//! group is under way the next one gathers, and where requests have come in groups the next one is given a moment more.

use std::{future::Future, panic::AssertUnwindSafe, time::Duration};

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// How long a group gathers once more than one request came at a time: less than a commit takes on most disks, and long
/// enough that a busy database is spared most of its transactions. Whoever comes alone waits for nobody.
const GATHERING: Duration = Duration::from_millis(1);

/// Requests that may wait for the group under way; more make their callers wait.
const WAITING_MAX: usize = 4096;

/// The request got no answer: its group panicked, or the process is stopping. Whether it was carried out is unknown.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("the group commit gave no answer")]
pub struct Unanswered;

/// A door to a task that handles requests in groups.
#[derive(Debug)]
pub struct Batcher<Q, A> {
    waiting: mpsc::Sender<(Q, oneshot::Sender<A>)>,
}

impl<Q, A> Clone for Batcher<Q, A> {
    fn clone(&self) -> Self {
        Self { waiting: self.waiting.clone() }
    }
}

impl<Q: Send + 'static, A: Send + 'static> Batcher<Q, A> {
    /// Starts the task. `flush` answers each request of a group, in order; a group has at most `group_max`.
    pub fn start<F>(
        tasks: &TaskTracker,
        group_max: usize,
        flush: impl Fn(Vec<Q>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<A>> + Send,
    {
        let (sender, mut receiver) = mpsc::channel::<(Q, oneshot::Sender<A>)>(WAITING_MAX);
        tasks.spawn(async move {
            let mut group = Vec::with_capacity(group_max);
            let mut is_busy = false;
            while receiver.recv_many(&mut group, group_max).await > 0 {
                if is_busy && group.len() < group_max {
                    tokio::time::sleep(GATHERING).await;
                    let left = group_max - group.len();
                    group.extend(std::iter::from_fn(|| receiver.try_recv().ok()).take(left));
                }
                is_busy = group.len() > 1;
                let (requests, callers): (Vec<Q>, Vec<_>) = group.drain(..).unzip();
                // A panic, which its hook has logged, costs this group its answers and no other.
                let flushed = AssertUnwindSafe(async {
                    failpoint!("batch.gathered");
                    let answers = flush(requests).await;
                    failpoint!("batch.flushed");
                    answers
                })
                .catch_unwind();
                for (answer, caller) in flushed.await.into_iter().flatten().zip(callers) {
                    // A caller that has gone needs no answer.
                    let _ = caller.send(answer);
                }
            }
        });
        Self { waiting: sender }
    }

    /// Hands a request in and waits for its answer.
    pub async fn submit(&self, request: Q) -> Result<A, Unanswered> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.send((request, sender)).await.map_err(|_| Unanswered)?;
        receiver.await.map_err(|_| Unanswered)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn requests_gather_while_a_group_is_under_way() {
        let tasks = TaskTracker::new();
        let groups = Arc::new(Mutex::new(Vec::new()));
        let gate = Arc::new(Semaphore::new(0));
        let (seen, opened) = (Arc::clone(&groups), Arc::clone(&gate));
        let batcher = Batcher::start(&tasks, 3, move |requests: Vec<u32>| {
            seen.lock().unwrap().push(requests.len());
            let opened = Arc::clone(&opened);
            async move {
                opened.acquire().await.unwrap().forget();
                requests.into_iter().map(|request| request * 2).collect()
            }
        });
        let calls: Vec<_> = (0..6)
            .map(|n| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.submit(n).await.unwrap() })
            })
            .collect();
        while gate.available_permits() == 0 && groups.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
        gate.add_permits(100);
        for (n, call) in (0..).zip(calls) {
            assert_eq!(call.await.unwrap(), n * 2);
        }
        let groups = groups.lock().unwrap();
        assert!(groups.iter().all(|&size| size <= 3), "{groups:?}");
        assert!(groups.len() < 6, "{groups:?}");
    }

    /// What a call answers before any clock goes on.
    async fn at_once<A>(call: impl Future<Output = A>) -> Option<A> {
        let mut call = std::pin::pin!(call);
        for _ in 0..100 {
            if let Some(answer) = call.as_mut().now_or_never() {
                return Some(answer);
            }
            tokio::task::yield_now().await;
        }
        None
    }

    #[tokio::test]
    async fn whoever_comes_alone_waits_for_nobody() {
        let groups = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&groups);
        let batcher = Batcher::start(&TaskTracker::new(), 10, move |requests: Vec<u32>| {
            seen.lock().unwrap().push(requests.len());
            async move { requests }
        });
        let together =
            |count| futures_util::future::join_all((0..count).map(|n| batcher.submit(n)));
        assert!(at_once(together(1)).await.is_some());
        assert!(at_once(together(3)).await.is_some());
        // They came together, so that others are likely to follow.
        assert_eq!(together(1).await.len(), 1);
        assert!(at_once(together(1)).await.is_some(), "nobody did");
        assert_eq!(*groups.lock().unwrap(), [1, 3, 1, 1]);
    }

    #[tokio::test]
    async fn a_group_that_panics_hangs_nobody_and_harms_no_other() {
        let tasks = TaskTracker::new();
        let batcher = Batcher::start(&tasks, 3, |requests: Vec<u32>| async move {
            assert!(!requests.contains(&13), "on purpose");
            requests
        });
        assert!(batcher.submit(13).await.is_err());
        assert_eq!(batcher.submit(1).await.unwrap(), 1);
    }
    #[tokio::test]
    async fn a_full_queue_makes_its_callers_wait_and_forgets_none() {
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let batcher = Batcher::start(&TaskTracker::new(), 10, move |requests: Vec<usize>| {
            let opened = Arc::clone(&opened);
            async move {
                let _ = opened.acquire().await.unwrap();
                requests
            }
        });
        let calls: Vec<_> = (0..WAITING_MAX + 500)
            .map(|n| {
                let batcher = batcher.clone();
                tokio::spawn(async move { batcher.submit(n).await.unwrap() })
            })
            .collect();
        while batcher.waiting.capacity() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(batcher.waiting.try_reserve().is_err());
        gate.add_permits(1);
        for (n, call) in calls.into_iter().enumerate() {
            assert_eq!(call.await.unwrap(), n);
        }
        assert_eq!(batcher.waiting.capacity(), WAITING_MAX);
    }
}
