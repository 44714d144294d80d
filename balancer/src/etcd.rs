//! A client of etcd (v3): reads, writes in transactions, leases and watches, over gRPC on the HTTP/2 that is here. The few messages
//! that it takes are written and read by hand, so that nothing has to be generated to build. A watch says that something has
//! changed and nothing else: what there is now is read. Must not know: what keys and values mean.

mod access;
mod client;
mod error;
mod grpc;
mod messages;
mod protobuf;
mod watch;

pub use self::{
    access::{Access, AccessFault, AccessFiles, Url},
    client::{Etcd, KeyReading, StoredValue, Transaction},
    error::EtcdError,
    watch::KeyWatch,
};
