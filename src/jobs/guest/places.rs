//! The requests that may be made at a time.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::queue::Alarm;

/// So many places.
#[derive(Debug)]
pub(super) struct Places {
    free: Semaphore,
    /// Something is due that waits for one.
    wanted: AtomicBool,
    alarm: Alarm,
}

/// A place, free again when it is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// `None` while it is waited for, and while it is being dropped.
    permit: Option<SemaphorePermit<'a>>,
    of: &'a Places,
}

impl Places {
    pub(super) fn new(max: usize, alarm: Alarm) -> Self {
        Self { free: Semaphore::new(max), wanted: AtomicBool::new(false), alarm }
    }

    pub(super) fn free(&self) -> usize {
        self.free.available_permits()
    }

    /// Waits for one.
    pub(super) async fn take(&self) -> Place<'_> {
        // Whoever gives up waiting may have been given it already: it is there first, to be dropped.
        let mut place = Place { permit: None, of: self };
        // They are never closed.
        place.permit = self.free.acquire().await.ok();
        place
    }

    /// Sees to it that the alarm is rung as soon as one is free.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        self.ring_if_wanted();
    }

    /// What is free may have been given to somebody who waits in [`Self::take`]: there is nothing to be heard of then.
    fn ring_if_wanted(&self) {
        if self.free() > 0 && self.wanted.swap(false, Ordering::SeqCst) {
            self.alarm.ring();
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        drop(self.permit.take());
        self.of.ring_if_wanted();
    }
}
