//! The endpoint of the ELBv2 API: `POST /`, or `GET /`, over HTTP/1.1, signed. Who may not ask learns that and nothing else. Runs on
//! the control thread; what is asked goes to the controller, one call after the other.
//!
//! Bounded by construction: connections, bytes of a head and of a body, the time for each, calls that wait for the controller,
//! signatures that are remembered. Must not know: what an operation does.

mod access;
mod bodies;
mod book;
mod call;
mod connections;
mod desk;
mod reply;
mod request_id;
mod waiting;

use std::{
    io,
    net::{SocketAddr, TcpListener},
    os::fd::OwnedFd,
    sync::Arc,
};

use tokio::sync::mpsc::{self, Receiver, Sender};

pub use self::{
    access::{ApiAccess, ApiAccessFault, NextApiAccess, look_at_keys},
    book::{ApiBook, ApiBookError, Beside},
    call::{ApiCall, ApiReply},
};
use self::{connections::ApiLimits, desk::ApiDesk};
use crate::{counters::ControlCounters, listener::explain, model::ControlApiSettings};

/// Calls that may wait for the controller: more than connections, since a change outlives its client's.
const WAITING: usize = 256;

/// The endpoint, bound and not served yet: made while the process may still bind any port.
#[derive(Debug)]
pub struct ControlApi {
    listener: TcpListener,
    access: Arc<ApiAccess>,
}

/// What the controller has of the endpoint.
#[derive(Debug)]
pub struct ApiSide {
    /// What is asked.
    pub calls: Receiver<ApiCall>,
    /// Who may ask.
    pub access: Arc<ApiAccess>,
}

/// The way of calls to the controller.
#[must_use]
pub fn channel() -> (Sender<ApiCall>, Receiver<ApiCall>) {
    mpsc::channel(WAITING)
}

/// Why the endpoint cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum ControlApiError {
    /// It cannot be bound.
    #[error("cannot listen on {0} (address of control_api): {1}")]
    Bind(SocketAddr, io::Error),
    /// Nobody could ask.
    #[error(transparent)]
    Access(#[from] ApiAccessFault),
}

impl ControlApi {
    /// Reads who may ask, and binds the address of `settings`, or takes a socket that is bound to it already.
    ///
    /// # Errors
    /// [`ControlApiError`].
    pub fn open(settings: &ControlApiSettings, bound: Option<TcpListener>) -> Result<Self, ControlApiError> {
        let access = Arc::new(ApiAccess::read(settings)?);
        let address = settings.address;
        let bind = || TcpListener::bind(address).map_err(|error| explain(error, address));
        let listener = bound
            .map_or_else(bind, Ok)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .map_err(|error| ControlApiError::Bind(address, error))?;
        Ok(Self { listener, access })
    }

    /// Who may ask, for a reload to change.
    #[must_use]
    pub fn access(&self) -> Arc<ApiAccess> {
        Arc::clone(&self.access)
    }

    /// Its socket, for another process.
    ///
    /// # Errors
    /// The system's.
    pub fn lend(&self) -> io::Result<OwnedFd> {
        Ok(self.listener.try_clone()?.into())
    }

    /// Where it is bound.
    ///
    /// # Errors
    /// When the socket cannot be asked.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the future is dropped; connections and calls run as tasks of the current runtime, on the one thread that
    /// counts into `counters`.
    ///
    /// # Errors
    /// When the socket cannot be handed to the runtime; never once serving.
    pub async fn serve(self, calls: Sender<ApiCall>, counters: Arc<ControlCounters>) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let desk = Arc::new(ApiDesk::new(self.access, calls, counters));
        connections::accept(listener, &desk, ApiLimits::default()).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
