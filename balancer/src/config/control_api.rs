//! The `control_api` block: where the ELBv2 API is served, and what of AWS stands for what here. Must not know: what is
//! asked there.

use std::{
    collections::BTreeMap,
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    sync::Arc,
};

use super::{
    balancer::Settings,
    fields::{BlockContext, BlockFields},
    mutual_authentication::TrustStores,
    names::Names,
    own_places::OwnPlaces,
    raw::RawBlock,
    schema::{Attribute, AttributeKind, Table},
    target_address,
    value::shown,
};
use crate::{
    model::{
        AlpnPolicy, BalancerSettings, Certificate, ControlApiSettings, Listener, ListenerTls, LoadBalancer,
        LogDestination, LogOutput, MutualAuthentication, TargetAddress, addresses_meet,
    },
    tls,
};

const ADDRESS: &str = "address";
const KEYS: &str = "access_keys_file";
const CERTIFICATE: &str = "certificate_arn";
const TRUST_STORE: &str = "trust_store_arn";
const STATE: &str = "state_file";
const REGION: &str = "region";
const ACCOUNT: &str = "account_id";
const DNS_SUFFIX: &str = "dns_suffix";
const BUCKETS: &str = "buckets_dir";
const INSTANCES: &str = "instances";

const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_ACCOUNT: &str = "000000000000";
/// Names below `localhost` lead to the host itself.
const DEFAULT_DNS_SUFFIX: &str = "elb.localhost";
const LONGEST_REGION: usize = 32;
const LONGEST_SUFFIX: usize = 150;
const MAX_INSTANCES: usize = 10_000;

pub(super) static CONTROL_API: Table = Table {
    name: "control_api",
    top: false,
    attributes: &[
        Attribute::new(
            ADDRESS,
            AttributeKind::Text {
                allowed: "\"ADDRESS:PORT\", a loopback address unless `certificate_arn` is given",
                default: "none: needed",
            },
            "Where the ELBv2 API of AWS is served. Takes effect at the next start.",
        ),
        Attribute::new(
            KEYS,
            AttributeKind::Text {
                allowed: "the path of a file that its owner alone can read",
                default: "none: needed",
            },
            "The access keys that requests may be signed with: ID, SECRET and where wanted `read-only` a line. Read again on a reload.",
        ),
        Attribute::new(
            CERTIFICATE,
            AttributeKind::Reference { to: "certificate", default: "none: plain HTTP" },
            "The certificate that it is served with, by HTTPS. Needed where `address` is no loopback address.",
        ),
        Attribute::new(
            TRUST_STORE,
            AttributeKind::Reference { to: "trust_store", default: "none" },
            "Of whose authorities clients have to show a certificate, beside their signatures. Only with `certificate_arn`.",
        ),
        Attribute::new(
            STATE,
            AttributeKind::Text {
                allowed: "an absolute path",
                default: "control-api-INSTANCE.redb in `state_dir`",
            },
            "The database of what was made through the API. A copy in JSON is kept beside it. Takes effect at the next start.",
        ),
        Attribute::new(
            REGION,
            AttributeKind::Text { allowed: "1 to 32 of a-z, 0-9 and -", default: "\"us-east-1\"" },
            "The region that ARNs name.",
        ),
        Attribute::new(
            ACCOUNT,
            AttributeKind::Text { allowed: "12 digits, in quotes", default: "\"000000000000\"" },
            "The account that ARNs name.",
        ),
        Attribute::new(
            DNS_SUFFIX,
            AttributeKind::Text { allowed: "a host name", default: "\"elb.localhost\"" },
            "What the DNS names of load balancers end in.",
        ),
        Attribute::new(
            BUCKETS,
            AttributeKind::Text {
                allowed: "an absolute path",
                default: "none: no trust stores through the API",
            },
            "A folder whose folders stand for the buckets of S3 that trust stores are read from.",
        ),
        Attribute::new(
            INSTANCES,
            AttributeKind::Map {
                allowed: "a map of up to 10000 ids of instances, such as \"i-0123456789abcdef0\", to addresses",
            },
            "The addresses of EC2 instances that are registered by their ids.",
        ),
    ],
    blocks: &[],
};

/// What the block refers to.
pub(super) struct ApiReferences<'n, 'a> {
    pub(super) certificates: &'n Names<'a>,
    pub(super) built: &'n [Option<Arc<Certificate>>],
    pub(super) trust_stores: &'n TrustStores<'n, 'a>,
    pub(super) settings: &'n Settings,
    pub(super) own: &'n OwnPlaces,
    pub(super) load_balancers: &'n [LoadBalancer],
}

/// Reads the block, which must not be there twice; nothing where there is none.
pub(super) fn build(
    context: &BlockContext<'_>,
    blocks: &[&RawBlock],
    known: &ApiReferences<'_, '_>,
    listeners: &[Listener],
) -> Option<ControlApiSettings> {
    let first = blocks.first()?;
    for more in blocks.iter().skip(1) {
        let first = context.faults.show(first.position);
        context.faults.add(
            more.position,
            format!("a second `control_api` block; the first is at {first}; allowed: one"),
        );
        read(context, &BlockFields::open(context, &CONTROL_API, Some(more)), known, &[]);
    }
    read(context, &BlockFields::open(context, &CONTROL_API, Some(first)), known, listeners)
}

fn read(
    context: &BlockContext<'_>,
    fields: &BlockFields<'_>,
    known: &ApiReferences<'_, '_>,
    listeners: &[Listener],
) -> Option<ControlApiSettings> {
    fields.require(ADDRESS);
    let settings = &known.settings.settings;
    let (address, keys) = (address(fields, settings, listeners), super::certificate::file(fields, KEYS));
    let certificate = certificate(context, fields, known);
    let trust_store = trust_store(context, fields, known);
    let state_file = state_file(fields, known);
    let region = text_or(fields, REGION, DEFAULT_REGION, |text| {
        (1..=LONGEST_REGION).contains(&text.len())
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'))
    });
    let account_id = text_or(fields, ACCOUNT, DEFAULT_ACCOUNT, |text| {
        text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
    });
    let dns_suffix = text_or(fields, DNS_SUFFIX, DEFAULT_DNS_SUFFIX, is_suffix);
    let buckets_dir = fields.is_given(BUCKETS).then(|| absolute(fields, BUCKETS)).flatten();
    let instances = instances(fields);
    let address = address?;
    if fields.is_unset(CERTIFICATE) && !address.ip().is_loopback() {
        let message = format!(
            "`{ADDRESS}` = \"{address}\" can be reached from other hosts; allowed: a loopback address, or `{CERTIFICATE}` \
             beside it, for HTTPS"
        );
        fields.fault_at(ADDRESS, message);
    }
    Some(ControlApiSettings {
        address,
        access_keys_file: keys?.into(),
        tls: match certificate {
            Some(certificate) => Some(listener_tls(certificate, trust_store)?),
            None => None,
        },
        state_file,
        region,
        account_id,
        dns_suffix,
        buckets_dir,
        instances,
    })
}

fn address(
    fields: &BlockFields<'_>,
    settings: &BalancerSettings,
    listeners: &[Listener],
) -> Option<SocketAddr> {
    let text = fields.text(ADDRESS)?;
    let address: Option<SocketAddr> = text.parse().ok();
    let Some(address) = address else {
        let allowed = fields.allowed(ADDRESS);
        fields.fault_at(ADDRESS, format!("`{ADDRESS}` = {}; allowed: {allowed}", shown(&text)));
        return None;
    };
    // Port 0 is any free one.
    let meets = |other: SocketAddr| address.port() != 0 && addresses_meet(address, other);
    if let Some(listener) = listeners.iter().find(|listener| meets(listener.address)) {
        let message = format!(
            "`{ADDRESS}` = \"{address}\" is taken by listener {} at {}; allowed: another port here or there",
            shown(&listener.name),
            listener.address
        );
        fields.fault_at(ADDRESS, message);
    }
    if let Some(admin) = settings.admin_address.filter(|admin| meets(*admin)) {
        let message = format!(
            "`{ADDRESS}` = \"{address}\" is taken by `admin_address` {admin}; allowed: another port here or there"
        );
        fields.fault_at(ADDRESS, message);
    }
    Some(address)
}

fn certificate(
    context: &BlockContext<'_>,
    fields: &BlockFields<'_>,
    known: &ApiReferences<'_, '_>,
) -> Option<Arc<Certificate>> {
    let (value, position) = fields.value(CERTIFICATE)?;
    known.built.get(known.certificates.resolve(context, &value, position)?)?.clone()
}

fn trust_store(
    context: &BlockContext<'_>,
    fields: &BlockFields<'_>,
    known: &ApiReferences<'_, '_>,
) -> Option<Option<MutualAuthentication>> {
    let Some((value, position)) = fields.value(TRUST_STORE) else {
        return fields.is_unset(TRUST_STORE).then_some(None);
    };
    if fields.is_unset(CERTIFICATE) {
        let message =
            format!("`{TRUST_STORE}` stands without `{CERTIFICATE}`; allowed: both, or neither of them");
        fields.fault_at(TRUST_STORE, message);
    }
    let stores = known.trust_stores;
    let trust_store = stores.built.get(stores.names.resolve(context, &value, position)?)?.clone()?;
    let verify = MutualAuthentication::Verify { trust_store, ignore_expiry: false, advertise_names: true };
    Some(Some(verify))
}

/// Outer nothing: a fault, which is noted.
fn listener_tls(
    certificate: Arc<Certificate>,
    mutual_authentication: Option<Option<MutualAuthentication>>,
) -> Option<ListenerTls> {
    Some(ListenerTls {
        policy: tls::policy(tls::DEFAULT_POLICY)?,
        alpn: AlpnPolicy::Http1Only,
        default_certificate: certificate,
        certificates: Vec::new(),
        mutual_authentication: mutual_authentication?,
    })
}

/// It is kept where nothing is cleared.
fn state_file(fields: &BlockFields<'_>, known: &ApiReferences<'_, '_>) -> PathBuf {
    let settings = &known.settings.settings;
    let default = || settings.state_dir.join(format!("control-api-{}.redb", settings.instance));
    let path = absolute(fields, STATE).unwrap_or_else(default);
    if let Some(wrong) = known.own.wrong_for_logs(&path).filter(|_| fields.is_given(STATE)) {
        fields.fault_at(STATE, format!("`{STATE}` = {wrong}"));
    }
    let is_it = |log: &LogOutput| matches!(&log.destination, LogDestination::File(file) if *file == path);
    let logs =
        known.load_balancers.iter().flat_map(|one| one.access_logs.iter().chain(&one.health_check_logs));
    if logs.into_iter().any(is_it) {
        let message = format!(
            "`{STATE}` = {} is a log of a load balancer; allowed: a file of its own",
            shown(&path.to_string_lossy())
        );
        fields.fault_at(STATE, message);
    }
    path
}

fn absolute(fields: &BlockFields<'_>, name: &str) -> Option<PathBuf> {
    let text = fields.text(name)?;
    if text.starts_with('/') && text.len() > 1 && !text.contains('\0') && !text.ends_with('/') {
        return Some(text.into());
    }
    fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(&text), fields.allowed(name)));
    None
}

fn text_or(fields: &BlockFields<'_>, name: &str, default: &str, is_allowed: impl Fn(&str) -> bool) -> String {
    let Some(text) = fields.text(name) else { return default.to_owned() };
    if !is_allowed(&text) {
        fields.fault_at(name, format!("`{name}` = {}; allowed: {}", shown(&text), fields.allowed(name)));
    }
    text
}

fn is_suffix(text: &str) -> bool {
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= LONGEST_SUFFIX && text.split('.').all(is_label)
}

fn instances(fields: &BlockFields<'_>) -> BTreeMap<String, IpAddr> {
    let (mut found, allowed) = (BTreeMap::new(), fields.allowed(INSTANCES));
    let Some(items) = fields.members(INSTANCES) else { return found };
    if items.len() > MAX_INSTANCES {
        fields.fault_at(INSTANCES, format!("`{INSTANCES}` has {} ids; allowed: {allowed}", items.len()));
        return found;
    }
    for (id, value, position) in items {
        if !target_address::is_instance_id(&id) {
            let message = format!("`{INSTANCES}` has {}, which is no id; allowed: {allowed}", shown(&id));
            fields.fault_in(position, message);
            continue;
        }
        let address = value.as_text().and_then(|text| target_address::parse(&text).ok());
        match address {
            Some((TargetAddress::Ip(address), None)) => drop(found.insert(id, address)),
            _ => {
                let message = format!(
                    "`{INSTANCES}` has {value} for {}; allowed: an address without a port",
                    shown(&id)
                );
                fields.fault_in(position, message);
            }
        }
    }
    found
}
