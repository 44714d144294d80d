//! `listener` blocks (`aws_lb_listener`) and their default action.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use super::{
    action::{self, Groups},
    balancer::Settings,
    blocks::FoundBlock,
    fields::{BlockContext, BlockFields},
    listener_table::{DEFAULT_ACTION, LISTENER},
    listener_tls::Certificates,
    load_balancer, mutual_authentication,
    names::Names,
    redirect::RequestOrigin,
    response_fields,
    source::Position,
    value::shown,
};
use crate::model::{Listener, addresses_meet};

/// Most listeners (ALB: quotas).
const MAX_LISTENERS: usize = 50;

/// Reads all listeners. Names and places to listen at that occur twice are faults.
pub(super) fn build_all(
    context: &BlockContext<'_>,
    found: &[FoundBlock<'_>],
    groups: &Groups<'_, '_>,
    load_balancers: &Names<'_>,
    certificates: &Certificates<'_, '_>,
    settings: &Settings,
) -> Vec<Listener> {
    if let Some(first_too_many) = found.get(MAX_LISTENERS) {
        let position = first_too_many.block.position;
        context.faults.add(position, format!("too many listeners; allowed: at most {MAX_LISTENERS}"));
    }
    let mut labels = HashMap::new();
    let mut taken: Vec<ListenAddress> = Vec::new();
    let mut listeners = Vec::new();
    for found in found.iter().take(MAX_LISTENERS) {
        if let Some(first) =
            labels.insert(found.label, found.label_position).filter(|_| !found.label.is_empty())
        {
            let message = format!(
                "listener {} is given twice, first at {}; allowed: labels that differ",
                shown(found.label),
                context.faults.show(first)
            );
            context.faults.add(found.label_position, message);
        }
        let fields = BlockFields::open(context, &LISTENER, Some(found.block));
        let address = address(&fields);
        let owner = load_balancer(context, found, &fields, load_balancers);
        if let Some((address, position)) = address.zip(fields.value("port").map(|(_, position)| position)) {
            let wanted = ListenAddress { address, position, owner };
            check_free(context, found, &wanted, &taken, settings);
            taken.push(wanted);
        }
        let tls = certificates.of_listener(context, found.label, &fields);
        let response_fields = response_fields::build(&fields);
        let origin = address
            .zip(tls.as_ref())
            .map(|(address, tls)| RequestOrigin { secure: tls.is_some(), port: address.port() });
        let default_action = action::build(context, &fields, &DEFAULT_ACTION, groups, origin);
        if let (Some(address), Some(owner), Some(default_action), Some(tls)) =
            (address, owner, default_action, tls)
        {
            listeners.push(Listener {
                name: found.label.to_owned(),
                address,
                load_balancer: owner.index,
                http2_prior_knowledge: fields.truth("http2_prior_knowledge"),
                tls,
                response_fields,
                tls_field_names: mutual_authentication::field_names(&fields),
                rules: Vec::new(),
                default_action,
            });
        }
    }
    listeners
}

fn address(fields: &BlockFields<'_>) -> Option<SocketAddr> {
    fields.require("port");
    let port = fields.whole_if_given("port").and_then(|port| u16::try_from(port).ok());
    let ip = match fields.text("address") {
        None => Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        Some(text) => {
            // Sockets of IPv6 are for IPv6 alone.
            let is_mapped = |ip: &IpAddr| matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some());
            let ip = text.parse().ok().filter(|ip: &IpAddr| !ip.is_multicast() && !is_mapped(ip));
            if ip.is_none() {
                let message = format!("`address` = {}; allowed: {}", shown(&text), fields.allowed("address"));
                fields.fault_at("address", message);
            }
            ip
        }
    };
    Some(SocketAddr::new(ip?, port?))
}

/// Where a listener listens, where that is written, and whose it is.
struct ListenAddress {
    address: SocketAddr,
    position: Position,
    owner: Option<ListenerOwner>,
}

fn check_free(
    context: &BlockContext<'_>,
    found: &FoundBlock<'_>,
    wanted: &ListenAddress,
    taken: &[ListenAddress],
    settings: &Settings,
) {
    let &ListenAddress { address, position, .. } = wanted;
    if let Some(first) = taken.iter().find(|first| addresses_meet(address, first.address)) {
        let is_same = first.owner == wanted.owner && !wanted.owner.is_some_and(|owner| owner.is_elsewhere);
        let message = format!(
            "{address} is taken by the listener on {} at {}{}; allowed: {}",
            first.address,
            context.faults.show(first.position),
            if first.owner == wanted.owner { "" } else { ", of another load balancer" },
            way_out(found, is_same)
        );
        context.faults.add(position, message);
    }
    if let Some(admin) = settings.settings.admin_address.filter(|admin| addresses_meet(address, *admin)) {
        let whose = settings
            .admin_position
            .map_or("by default".to_owned(), |at| format!("at {}", context.faults.show(at)));
        let message = format!(
            "{address} is taken by `admin_address` {admin} {whose}; allowed: another port here or there, or \"off\" there"
        );
        context.faults.add(position, message);
    }
}

/// What to write where two listeners want one address and port. Load balancers of AWS have addresses of their own.
fn way_out(found: &FoundBlock<'_>, same_load_balancer: bool) -> String {
    if same_load_balancer {
        return "an address and port that no other has".to_owned();
    }
    let (block, position) = if found.is_resource {
        ("resource \"aws_lb_listener\"", ", in a file local_override.hcl beside Terraform's")
    } else {
        ("listener", "")
    };
    format!(
        "an `address` of this host for each of them, such as {block} {} {{ address = \"10.0.0.1\" }}{position}",
        shown(found.label)
    )
}

/// Whose a listener is: one that stands here, or one of which nothing is known but that it is elsewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ListenerOwner {
    index: usize,
    is_elsewhere: bool,
}

fn load_balancer(
    context: &BlockContext<'_>,
    found: &FoundBlock<'_>,
    fields: &BlockFields<'_>,
    load_balancers: &Names<'_>,
) -> Option<ListenerOwner> {
    const ARN: &str = "load_balancer_arn";
    if let Some((value, position)) = fields.value(ARN) {
        // In a block of our own it is a mistake.
        if found.is_resource && load_balancer::is_elsewhere(load_balancers, &value) {
            fields.note_at(
                ARN,
                format!(
                    "`{ARN}` = {value} is a load balancer that does not stand here: the listener has what one has by \
                     default, and other listeners of it are not known; a `load_balancer` block that `terraform_values` \
                     names for it says what it has"
                ),
            );
            return Some(ListenerOwner { index: load_balancers.entries.len(), is_elsewhere: true });
        }
        let index = load_balancers.resolve(context, &value, position)?;
        return Some(ListenerOwner { index, is_elsewhere: false });
    }
    // Without any in a file it is the one with the defaults, which stands behind all that were made through the API.
    let mut own = load_balancer::of_files(context, load_balancers);
    let only = own.next().unwrap_or(load_balancers.entries.len());
    if own.next().is_some() && fields.is_unset(ARN) {
        fields.fault(format!(
            "the listener names none of several load balancers; allowed: `{ARN}` = {}",
            load_balancers.known()
        ));
    }
    Some(ListenerOwner { index: only, is_elsewhere: false })
}
