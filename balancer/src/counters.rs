//! What is counted on the request path, and what happened last. Every counter has one writer, its worker, so that
//! counting is a plain load and store; readers (metrics, status) add up the shards of all workers. The tables in
//! `listener`, `group` and `worker` declare each figure once (see `figures`).
//! Must not know: who counts, who reads.

mod arrivals;
mod by;
mod cause;
mod cluster;
mod control_api;
mod counter;
mod failure;
mod figures;
mod group;
mod histogram;
mod keys;
mod last_error;
mod listener;
mod notes;
mod rule;
mod session_store;
mod sources;
mod worker;

pub use self::{
    arrivals::{Arrival, Arrivals, REACH},
    by::{By, LabelValue},
    cause::{Cause, Phase, Side, causes_of},
    cluster::ClusterNote,
    control_api::{ApiOutcome, ApiRejection},
    counter::{Counter, Gauge, Holder, Raised},
    failure::{Blame, Failure, Retry, is_own_shortage},
    figures::{Counts, Family, Figure, FigureValue, HistogramStatus, Sample, Set, Settable},
    group::{
        AnomalyStatus, Answers, AnswersShard, Connections, GroupShard, LoadSkew, Micros, Routing,
        RoutingShard, SessionsEverywhere, Stickiness, StickinessShard, TargetFigures, TargetShard,
    },
    histogram::{Histogram, Spent},
    keys::{
        ClientCertRefusal, ConnectErrno, Evicted, FixedClass, GroupOutcome, Outcome, OwnStatus, ResponseClass,
    },
    last_error::{LastError, LastErrorNote},
    listener::{CountedOpen, ListenerRuntime, ListenerRuntimes, ListenerShard, OpenNow, Openable, Traffic},
    notes::{CertificateNote, Notes},
    rule::{RuleFigures, RuleRuntime, RuleRuntimes, RuleShard},
    session_store::{Lookup, SessionStore, SessionStoreShard, StoreCause, StoreWrite, VerdictRefusal},
    sources::{SourceFigures, SourceNews, SourceNote},
    worker::{ControlCounters, SessionTable, SessionTableShard, Upkeep, Work, WorkerCounters, WorkerFigures},
};
