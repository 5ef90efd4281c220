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
    /// `None` only while it is being dropped.
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
        // They are never closed.
        Place { permit: self.free.acquire().await.ok(), of: self }
    }

    /// Sees to it that the alarm is rung as soon as one is free.
    pub(super) fn want(&self) {
        self.wanted.store(true, Ordering::SeqCst);
        if self.free() > 0 {
            self.ring_if_wanted();
        }
    }

    fn ring_if_wanted(&self) {
        if self.wanted.swap(false, Ordering::SeqCst) {
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
