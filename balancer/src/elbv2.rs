//! The ELBv2 API, version 2015-12-01, as AWS' clients speak it: what they ask, what is kept of it, and what they are answered.
//!
//! Owns: names and numbers of the API (ARNs, attribute keys, error codes), the records that are made through it, and their
//! translation into a document of configuration. Must not know: sockets, and how a configuration takes effect.

mod failure;
mod params;
mod records;
mod xml;

pub use self::{
    failure::ApiFailure,
    params::Params,
    records::{
        ActionKind, ActionRecord, CertificateRecord, ConditionRecord, HealthCheckRecord, ListenerRecord,
        LoadBalancerRecord, MutualAuthenticationRecord, Owner, Records, RuleRecord, TargetGroupRecord,
        TargetRecord, TransformRecord, TrustStoreRecord, WeightedGroupRecord,
    },
    xml::Element,
};
