//! Sockets that nobody waits at one by one. Each is a row of a table, and one descriptor (epoll(7)) tells which of them have
//! something to read: a task, its memory and a place among the runtime's sockets are for those that have something to do.
//! Must not know: what sockets are for.

use std::{
    cell::{OnceCell, RefCell},
    io,
    os::fd::OwnedFd,
    rc::Rc,
};

use rustix::event::{Timespec, epoll};
use socket2::SockRef;
use tokio::io::unix::AsyncFd;

use super::table::RowTable;
use crate::kernel::readable;

/// Most sockets that are looked at before others have their turn.
const AT_ONCE: usize = 64;

/// What can be parked.
pub(in crate::http) trait Parkable {
    /// Its socket. None: it has lost it.
    fn socket(&self) -> Option<SockRef<'_>>;
}

/// What is parked.
#[derive(Debug)]
pub(in crate::http) struct Lot<T> {
    table: RefCell<RowTable<T>>,
    epoll: OnceCell<Rc<OwnedFd>>,
}

impl<T> Default for Lot<T> {
    fn default() -> Self {
        Self { table: RefCell::default(), epoll: OnceCell::new() }
    }
}

/// Tells when something that is parked has to go on.
#[derive(Debug)]
pub(in crate::http) struct WakeUps(AsyncFd<Rc<OwnedFd>>);

impl<T: Parkable> Lot<T> {
    /// Opens it; nothing can be parked before. To be called once, within a runtime.
    ///
    /// # Errors
    /// The system's, when there is no descriptor to be had.
    pub(in crate::http) fn open(&self) -> io::Result<WakeUps> {
        let epoll = Rc::new(epoll::create(epoll::CreateFlags::CLOEXEC)?);
        let alarm = readable(Rc::clone(&epoll))?;
        self.epoll.set(epoll).map_err(|_| io::ErrorKind::AlreadyExists)?;
        Ok(WakeUps(alarm))
    }

    /// Whether anything can be parked.
    pub(in crate::http) fn is_open(&self) -> bool {
        self.epoll.get().is_some()
    }

    /// Parks `parked` until its socket has something to read, be it the end. What has come before is seen as well.
    ///
    /// # Errors
    /// It cannot be parked.
    pub(in crate::http) fn park(&self, parked: T) -> Result<(), T> {
        let Some(epoll) = self.epoll.get() else { return Err(parked) };
        let mut table = self.table.borrow_mut();
        let place = table.put(parked);
        let flags = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        let data = epoll::EventData::new_u64(place as u64);
        let socket = table.get(place).and_then(Parkable::socket);
        let added = socket.map(|socket| epoll::add(&**epoll, &*socket, data, flags));
        match added {
            Some(Ok(())) => Ok(()),
            _ => table.take(place).map_or(Ok(()), Err),
        }
    }

    /// Waits until some of what is parked has something to read, and puts it into `woken`: it is parked no more.
    pub(in crate::http) async fn woken(&self, alarm: &WakeUps, woken: &mut Vec<T>) {
        let mut events = Vec::with_capacity(AT_ONCE);
        loop {
            let Ok(mut ready) = alarm.0.readable().await else { return std::future::pending().await };
            events.clear();
            let now = Timespec { tv_sec: 0, tv_nsec: 0 };
            let seen =
                epoll::wait(&**alarm.0.get_ref(), rustix::buffer::spare_capacity(&mut events), Some(&now));
            // With fewer than it asked for there are no more, and who comes now is told of again.
            if seen.is_ok_and(|seen| seen < AT_ONCE) {
                ready.clear_ready();
            }
            let places = events.iter().map(|event| usize::try_from(event.data.u64()).unwrap_or(usize::MAX));
            woken.extend(places.filter_map(|place| self.take(place)));
            if !woken.is_empty() {
                return;
            }
        }
    }

    fn take(&self, place: usize) -> Option<T> {
        let parked = self.table.borrow_mut().take(place)?;
        if let (Some(epoll), Some(socket)) = (self.epoll.get(), parked.socket()) {
            // Fails when it is not in there, which is what is wanted.
            let _ = epoll::delete(&**epoll, &*socket);
        }
        Some(parked)
    }
}

impl<T> Lot<T> {
    /// How many are parked.
    pub(in crate::http) fn len(&self) -> usize {
        self.table.borrow().len()
    }

    /// Shows all that are parked to `visit`, with their places.
    pub(in crate::http) fn each(&self, mut visit: impl FnMut(usize, &T)) {
        self.table.borrow().iter().for_each(|(place, parked)| visit(place, parked));
    }

    /// Takes out what `is_over`, for good.
    pub(in crate::http) fn extract(&self, mut is_over: impl FnMut(&T) -> bool) -> Vec<T> {
        let mut table = self.table.borrow_mut();
        let places: Vec<usize> =
            table.iter().filter(|(_, parked)| is_over(parked)).map(|(place, _)| place).collect();
        places.into_iter().filter_map(|place| table.take(place)).collect()
    }

    /// Takes out what is in this place, for good, if it `is_over`.
    pub(in crate::http) fn remove_if(&self, place: usize, is_over: impl FnOnce(&T) -> bool) -> Option<T> {
        let mut table = self.table.borrow_mut();
        if table.get(place).is_some_and(is_over) { table.take(place) } else { None }
    }
}
