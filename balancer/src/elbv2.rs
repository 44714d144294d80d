//! The ELBv2 API, version 2015-12-01, as AWS' clients speak it: what they ask, what is kept of it, and what they are answered.
//!
//! Owns: names and numbers of the API (ARNs, attribute keys, error codes), the records that are made through it, and their
//! translation into a document of configuration. Must not know: sockets, and how a configuration takes effect.

mod access_keys;
mod arn;
mod attributes;
mod call;
mod document;
pub mod envelope;
mod failure;
mod files;
pub mod form;
mod names;
mod operations;
mod paging;
mod params;
mod records;
mod resource;
mod shapes;
mod sigv4;
mod soundness;
mod store;
mod tagging;
mod usage;
mod used_signatures;
mod world;
mod xml;

pub use self::{
    access_keys::{AccessKey, AccessKeys, AccessKeysFault},
    arn::{ArnKind, ArnMaker, default_rule_arn, id_in, id_of, listener_arn, rule_arn},
    call::OperationCall,
    document::{ADDRESS_TAG, MadeRecords, address_of, document},
    failure::ApiFailure,
    files::{FileFacts, FileRecords},
    operations::{answer, is_change, is_known},
    params::Params,
    records::{
        ActionKind, ActionRecord, CertificateRecord, ConditionRecord, HealthCheckRecord, ListenerRecord,
        LoadBalancerRecord, MutualAuthenticationRecord, RecordOwner, Records, RuleRecord, TargetGroupRecord,
        TargetRecord, TransformRecord, TrustStoreRecord, WeightedGroupRecord,
    },
    sigv4::{SignatureClaim, SignedRequest},
    store::{StateCopy, Store, StoreError, copy_path},
    used_signatures::{SignatureUse, UsedSignatures},
    world::{DEFAULT_DNS_SUFFIX, TargetHealth, World},
    xml::Element,
};

#[cfg(test)]
pub(crate) use self::sigv4::test_support as signing;
