//! Records of services in DNS (SRV, RFC 2782). Must not know: what a service is used for.

use std::{str::FromStr as _, time::Duration};

use hickory_resolver::proto::rr::{Name, RData, RecordType};

use super::name_service::{NameService, has_no_records};
use crate::clock::monotonic_now;

/// A record of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::control) struct ServiceRecord {
    /// The full name of a host.
    pub(in crate::control) target: String,
    pub(in crate::control) priority: u16,
    pub(in crate::control) weight: u16,
    pub(in crate::control) port: u16,
}

impl NameService {
    /// The records of the service `name` within `patience`, and how long they hold; none of either where there is no such service.
    ///
    /// # Errors
    /// Why that cannot be found out.
    pub(in crate::control) async fn services(
        &self,
        name: &str,
        patience: Duration,
    ) -> Result<(Vec<ServiceRecord>, Option<Duration>), String> {
        let Some(dns) = &self.dns else { return Err("there is no resolver".to_owned()) };
        let name = Name::from_str(name).map_err(|error| error.to_string())?;
        let deadline = monotonic_now() + patience;
        for candidate in self.candidates(&name) {
            match tokio::time::timeout_at(deadline.into(), dns.lookup(candidate, RecordType::SRV)).await {
                Ok(Ok(found)) => {
                    let holds = found.valid_until().saturating_duration_since(monotonic_now());
                    let records = found.answers().iter().filter_map(|record| match &record.data {
                        RData::SRV(service) => Some(ServiceRecord {
                            target: service.target.to_utf8(),
                            priority: service.priority,
                            weight: service.weight,
                            port: service.port,
                        }),
                        _ => None,
                    });
                    return Ok((records.collect(), Some(holds)));
                }
                Ok(Err(error)) if has_no_records(&error) => {}
                Ok(Err(error)) => return Err(format!("SRV: {error}")),
                Err(_) => return Err("SRV: no answer in time".to_owned()),
            }
        }
        Ok((Vec::new(), None))
    }
}
