//! Group commit: the requests of many tasks go down together, at once when idle and in larger groups when busy: while one
//! group is under way the next one gathers, and where requests have come in groups the next one is given a moment more.

use std::{future::Future, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio::sync::{Mutex, mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// How groups are made.
#[derive(Clone, Copy, Debug)]
pub struct Grouping {
    /// A group has at most so many requests.
    pub max: usize,
    /// How long it gathers once more than one request came at a time. Whoever comes alone waits for nobody.
    pub gathering: Duration,
    /// So many are under way at a time: while one waits for the disk, the next is worked on. Requests that stand in two of
    /// them must not wait for each other, and may be carried out in any order.
    pub abreast: usize,
}

impl Grouping {
    /// One at a time. It gathers for less than a commit takes on most disks, and long enough that a busy database is spared
    /// most of its transactions.
    #[must_use]
    pub const fn of(max: usize) -> Self {
        Self { max, gathering: Duration::from_millis(1), abreast: 1 }
    }
}

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
    /// Starts its tasks. `flush` answers each request of a group, in order.
    pub fn start<F>(
        tasks: &TaskTracker,
        grouping: Grouping,
        flush: impl Fn(Vec<Q>) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Vec<A>> + Send + 'static,
    {
        let (sender, receiver) = mpsc::channel::<(Q, oneshot::Sender<A>)>(WAITING_MAX);
        let (receiver, flush) = (Arc::new(Mutex::new(receiver)), Arc::new(flush));
        for _ in 0..grouping.abreast.max(1) {
            tasks.spawn(serve(Arc::clone(&receiver), grouping, Arc::clone(&flush)));
        }
        Self { waiting: sender }
    }

    /// Hands a request in and waits for its answer.
    pub async fn submit(&self, request: Q) -> Result<A, Unanswered> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.send((request, sender)).await.map_err(|_| Unanswered)?;
        receiver.await.map_err(|_| Unanswered)
    }
}

type Waiting<Q, A> = mpsc::Receiver<(Q, oneshot::Sender<A>)>;

/// Takes group by group, in turn with the others that do so, until all doors are gone.
async fn serve<Q, A, F>(
    waiting: Arc<Mutex<Waiting<Q, A>>>,
    grouping: Grouping,
    flush: Arc<impl Fn(Vec<Q>) -> F>,
) where
    F: Future<Output = Vec<A>>,
{
    let mut group = Vec::with_capacity(grouping.max);
    let mut is_busy = false;
    loop {
        gather(&mut *waiting.lock().await, &mut group, grouping, is_busy).await;
        if group.is_empty() {
            return;
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
}

/// Waits for the next group; none is left when it stays empty.
async fn gather<Q, A>(
    waiting: &mut Waiting<Q, A>,
    group: &mut Vec<(Q, oneshot::Sender<A>)>,
    grouping: Grouping,
    is_busy: bool,
) {
    let came = waiting.recv_many(group, grouping.max).await;
    if is_busy && came > 0 && came < grouping.max {
        tokio::time::sleep(grouping.gathering).await;
        group.extend(std::iter::from_fn(|| waiting.try_recv().ok()).take(grouping.max - came));
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
        let batcher = Batcher::start(&tasks, Grouping::of(3), move |requests: Vec<u32>| {
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
        let batcher =
            Batcher::start(&TaskTracker::new(), Grouping::of(10), move |requests: Vec<u32>| {
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
        let batcher = Batcher::start(&tasks, Grouping::of(3), |requests: Vec<u32>| async move {
            assert!(!requests.contains(&13), "on purpose");
            requests
        });
        assert!(batcher.submit(13).await.is_err());
        assert_eq!(batcher.submit(1).await.unwrap(), 1);
    }

    #[tokio::test]
    async fn as_many_groups_are_under_way_as_may_be() {
        let gate = Arc::new(Semaphore::new(0));
        let (tasks, begun) = (TaskTracker::new(), Arc::new(Mutex::new(Vec::new())));
        let (opened, seen) = (Arc::clone(&gate), Arc::clone(&begun));
        let grouping = Grouping { abreast: 2, ..Grouping::of(3) };
        let batcher = Batcher::start(&tasks, grouping, move |requests: Vec<u32>| {
            seen.lock().unwrap().push(requests.clone());
            let opened = Arc::clone(&opened);
            async move {
                opened.acquire().await.unwrap().forget();
                requests
            }
        });
        {
            let calls = futures_util::future::join_all((0..9).map(|n| batcher.submit(n)));
            let mut calls = std::pin::pin!(calls);
            assert!(at_once(&mut calls).await.is_none());
            assert_eq!(*begun.lock().unwrap(), [[0, 1, 2], [3, 4, 5]]);
            gate.add_permits(3);
            let answers: Vec<u32> = calls.await.into_iter().map(Result::unwrap).collect();
            assert_eq!(answers, (0..9).collect::<Vec<_>>(), "each has its own");
        }
        assert_eq!(begun.lock().unwrap().len(), 3);
        drop(batcher);
        tasks.close();
        tasks.wait().await;
    }

    #[tokio::test]
    async fn a_full_queue_makes_its_callers_wait_and_forgets_none() {
        let gate = Arc::new(Semaphore::new(0));
        let opened = Arc::clone(&gate);
        let batcher =
            Batcher::start(&TaskTracker::new(), Grouping::of(10), move |requests: Vec<usize>| {
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
