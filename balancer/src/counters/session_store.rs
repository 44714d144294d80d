//! What is counted of sessions that are shared with other balancers. Must not know: how a store is spoken to.

use super::{
    By, Counter,
    figures::{Set, figures},
    keys::labels,
};

labels! {
    /// What came of asking the store for a session.
    pub enum Lookup by "outcome" {
        /// It knew the session.
        Found = "found",
        /// It did not.
        Absent = "absent",
        /// It did not a moment ago, and was not asked again.
        KnownAbsent = "known_absent",
        /// It did not answer in time.
        TimedOut = "timed_out",
        /// It is away, and nobody waited.
        Away = "away",
        /// Too many were waiting already.
        TooMany = "too_many",
    }
}

labels! {
    /// What came of telling the store of a session.
    pub enum StoreWrite by "result" {
        /// It has it.
        Written = "written",
        /// It had it on another target, where another balancer has put it, and there it is here, too, from now on.
        Lost = "lost",
        /// It did not take it.
        Failed = "failed",
    }
}

labels! {
    /// Why the store is away or does not take what it is told.
    pub enum StoreCause by "cause", tells_zero false {
        /// Its name does not resolve.
        NameNotResolved = "name_not_resolved",
        /// Nobody can be connected to.
        Unreachable = "unreachable",
        /// The connection ended.
        Closed = "closed",
        /// It did not answer in time.
        TimedOut = "timed_out",
        /// Its certificate or its way of speaking TLS will not do.
        Tls = "tls",
        /// It does not take the user and the password.
        WrongPassword = "wrong_password",
        /// It does not let this user do what is needed.
        NotPermitted = "not_permitted",
        /// What it says is not what a store says.
        Garbage = "garbage",
        /// It is a replica.
        ReadOnly = "read_only",
        /// It reads its data from disk.
        Loading = "loading",
        /// It is a node of a cluster, and was not spoken to as one, or the cluster is down.
        Cluster = "cluster",
        /// Its memory is full.
        Full = "full",
        /// Sentinels know of no primary.
        NoPrimary = "no_primary",
        /// It refuses for another reason.
        Refused = "refused",
    }
}

figures! {
    /// What is counted of sessions that are shared with other balancers: workers count lookups, the store's thread the rest.
    pub struct SessionStoreShard => /// How sharing sessions with other balancers goes.
    SessionStore {
        up: Set<bool> => "balancer_session_store_up", "1 while the session store can be asked, 0 while it is away.";
        lookups: By<Lookup> => "balancer_session_store_lookups_total",
            "Requests whose session was not known here or on a target that was gone, by what the session store had to say.";
        writes: By<StoreWrite> => "balancer_session_store_writes_total",
            "Sessions that the session store was told of, by what came of it; \"lost\" ones are on the target that another balancer chose.";
        writes_dropped: Set<u64> => "balancer_session_store_writes_dropped_total",
            "Sessions that the session store was not told of because too many were waiting for that.";
        writes_waiting: Set<u64> => "balancer_session_store_writes_waiting",
            "Sessions that the session store is still to be told of.";
        told_again: Counter => "balancer_session_store_told_again_total",
            "Sessions of the local table that the session store was told of because it had come back.";
        failures: By<StoreCause> => "balancer_session_store_failures_total",
            "Times that the session store went away or refused something, by cause.";
    }
}
