//! [`Orders`]: orders from other threads of this program.

use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::mpsc;

use crate::order::Order;

/// How many orders wait at most; what comes then is dropped, as nobody waits for an answer.
const WAITING_MAX: usize = 1024;

/// Orders from other threads, and what wakes the Manager's loop for them.
#[derive(Debug)]
pub(crate) struct Orders {
    received: mpsc::Receiver<Order>,
    sender: Arc<Sender>,
    /// `None` where the system gave none: orders are then taken at the next look.
    wake: Option<UnixStream>,
}

#[derive(Debug)]
pub(crate) struct Sender {
    orders: mpsc::SyncSender<Order>,
    wake: Option<UnixStream>,
}

impl Orders {
    pub(crate) fn new() -> Orders {
        let (orders, received) = mpsc::sync_channel(WAITING_MAX);
        let (wake, waker) = sockets().map_or((None, None), |(wake, waker)| (Some(wake), Some(waker)));
        Orders { received, sender: Arc::new(Sender { orders, wake: waker }), wake }
    }

    pub(crate) fn sender(&self) -> Arc<Sender> {
        Arc::clone(&self.sender)
    }

    /// What can be read from when an order has come.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.wake.as_ref().map(AsFd::as_fd)
    }

    /// The orders that have come.
    pub(crate) fn take(&mut self) -> Vec<Order> {
        if let Some(wake) = &mut self.wake {
            // A byte an order, at most. It fails where there is none.
            let _ = wake.read(&mut [0; WAITING_MAX]);
        }
        self.received.try_iter().collect()
    }
}

impl Sender {
    pub(crate) fn send(&self, order: Order) {
        // Full, there are others to wake for; one that is gone needs nothing.
        if self.orders.try_send(order).is_ok()
            && let Some(mut wake) = self.wake.as_ref()
        {
            let _ = wake.write(&[1]);
        }
    }
}

fn sockets() -> std::io::Result<(UnixStream, UnixStream)> {
    let (wake, waker) = UnixStream::pair()?;
    wake.set_nonblocking(true)?;
    waker.set_nonblocking(true)?;
    Ok((wake, waker))
}
