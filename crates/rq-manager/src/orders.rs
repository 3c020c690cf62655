//! [`Orders`]: orders from other threads of this program.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use crate::order::Order;

/// How many orders wait at most; what comes then is dropped, as nobody waits for an answer.
const WAITING_MAX: usize = 1024;

/// Orders from other threads, and what wakes the Manager's loop for them.
#[derive(Debug)]
pub(crate) struct Orders {
    received: mpsc::Receiver<Order>,
    sender: Arc<Sender>,
    /// `None` where the system gave none: orders are then taken at the next look.
    wake: Option<PipeReader>,
}

#[derive(Debug)]
pub(crate) struct Sender {
    orders: mpsc::SyncSender<Order>,
    wake: Option<Mutex<PipeWriter>>,
}

impl Orders {
    pub(crate) fn new() -> Orders {
        let (orders, received) = mpsc::sync_channel(WAITING_MAX);
        let (wake, waker) = io::pipe().map_or((None, None), |(reader, writer)| (Some(reader), Some(writer)));
        Orders { received, sender: Arc::new(Sender { orders, wake: waker.map(Mutex::new) }), wake }
    }

    pub(crate) fn sender(&self) -> Arc<Sender> {
        Arc::clone(&self.sender)
    }

    /// What can be read from when an order has come.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.wake.as_ref().map(AsFd::as_fd)
    }

    /// The orders that have come. `is_readable` says whether the [descriptor](Orders::descriptor) has something.
    pub(crate) fn take(&mut self, is_readable: bool) -> Vec<Order> {
        if is_readable && let Some(wake) = &mut self.wake {
            // One byte an order, at most; what is left wakes once more.
            let _ = wake.read(&mut [0; WAITING_MAX]);
        }
        self.received.try_iter().collect()
    }
}

impl Sender {
    pub(crate) fn send(&self, order: Order) {
        // Full, there are others to wake for; one that is gone needs nothing.
        if self.orders.try_send(order).is_ok()
            && let Some(wake) = &self.wake
        {
            let _ = wake.lock().unwrap_or_else(PoisonError::into_inner).write(&[1]);
        }
    }
}
