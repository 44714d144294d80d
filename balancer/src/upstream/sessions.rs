//! TLS sessions of one worker with targets, for handshakes to take up: kept by target, since one target's are of no
//! use at another. Must not know: sockets.

use std::collections::{HashMap, HashSet};

use tokio_rustls::TlsConnector;

use super::connection::Destination;
use crate::{id::Slot, tls::TargetTls};

/// The sessions.
#[derive(Default)]
pub struct TlsSessions {
    connectors: HashMap<Slot, (Destination, TlsConnector)>,
}

impl std::fmt::Debug for TlsSessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSessions").field("targets", &self.connectors.len()).finish_non_exhaustive()
    }
}

impl TlsSessions {
    /// What to shake hands with, by this TLS of `destination`. Sessions of other settings are not taken up: these
    /// may ask for more.
    pub fn connector(&mut self, destination: &Destination, tls: &TargetTls) -> TlsConnector {
        let fresh = || (destination.clone(), TlsConnector::from(tls.with_sessions()));
        let (held, connector) = self.connectors.entry(destination.slot).or_insert_with(fresh);
        if !held.does_for(destination) {
            (*held, *connector) = fresh();
        }
        connector.clone()
    }

    /// Forgets sessions with targets that are not in `used`.
    pub fn keep_only(&mut self, used: &HashSet<Slot>) {
        self.connectors.retain(|slot, _| used.contains(slot));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{self, Endpoint, ProtocolVersion};

    fn destination(port: u16, name: Option<&str>) -> Destination {
        let settings = model::TargetTlsSettings { server_name: name.map(str::to_owned), authorities: None };
        let tls = TargetTls::new(&settings, ProtocolVersion::Http1).unwrap();
        Destination {
            slot: Slot(3),
            endpoint: Endpoint::Tcp(([127, 0, 0, 1], port).into()),
            tls: Some(Arc::new(tls)),
        }
    }

    #[test]
    fn sessions_are_of_one_target_and_its_settings() {
        let mut sessions = TlsSessions::default();
        let mut connector = |destination: &Destination| {
            Arc::clone(sessions.connector(destination, destination.tls.as_ref().unwrap()).config())
        };
        let (one, again) = (destination(1, None), destination(1, None));
        let first = connector(&one);
        assert!(Arc::ptr_eq(&first, &connector(&again)), "equal settings share sessions");
        let named = connector(&destination(1, Some("app.test")));
        assert!(!Arc::ptr_eq(&first, &named));
        assert!(!Arc::ptr_eq(&named, &connector(&destination(2, Some("app.test")))));
        let last = connector(&one);
        sessions.keep_only(&HashSet::new());
        assert!(!Arc::ptr_eq(&last, sessions.connector(&one, one.tls.as_ref().unwrap()).config()));
    }
}
