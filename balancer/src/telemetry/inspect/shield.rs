//! The shield, as the control side and the kernel tell of it.

use crate::{
    kernel::{InterfaceReport, ShieldView},
    telemetry::status::{ShieldInterfaceStatus, ShieldStatus},
};

/// The shield; nothing where none is configured.
pub(super) fn status(view: &ShieldView) -> Option<ShieldStatus> {
    let (report, packets) = view.read()?;
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let interface = |interface: InterfaceReport| ShieldInterfaceStatus {
        name: interface.name,
        mode: interface.mode.unwrap_or("off").to_owned(),
        detail: Some(interface.detail).filter(|detail| !detail.is_empty()),
    };
    Some(ShieldStatus {
        active: report.off.is_none() && report.interfaces.iter().all(|interface| interface.mode.is_some()),
        off: report.off,
        dry_run: report.dry_run,
        deny: count(report.deny),
        allow: count(report.allow),
        denied_at_run_time: count(report.denied_at_run_time),
        interfaces: report.interfaces.into_iter().map(interface).collect(),
        packets: packets.into_iter().map(|(action, count)| (action.to_owned(), count)).collect(),
    })
}
