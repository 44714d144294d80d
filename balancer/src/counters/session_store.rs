//! What is counted of sessions that are shared with other balancers. Must not know: how a store is spoken to.

use super::{
    By, Counter, Histogram,
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
    /// Why a verdict of another balancer is not taken.
    pub enum VerdictRefusal by "why" {
        /// It was too old when it came.
        Stale = "stale",
        /// This balancer has no such target.
        UnknownTarget = "unknown_target",
        /// Who tells it does not lead.
        NotLeading = "not_leading",
        /// It leaves no target of the group, which this balancer looks into itself.
        LeavesNone = "leaves_none",
        /// This balancer has found out otherwise by a connection of its own.
        OwnFinding = "own_finding",
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
        lookup_duration: Histogram => "balancer_session_store_lookup_duration_seconds",
            "How long requests waited for what the session store knows.";
        round_trip: Histogram => "balancer_session_store_round_trip_seconds",
            "From a question that is on its way to the session store to its answer; what requests wait beyond that they wait for the balancer.";
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
        balancers: Set<u64> => "balancer_session_store_balancers",
            "Balancers that share the session store and have told of themselves in the last 15 seconds, this one included.";
        notices_refused: Counter => "balancer_session_store_notices_refused_total",
            "Times that what stands where balancers tell each other could not be used.";
        leads: Set<Option<bool>> => "balancer_health_check_leader",
            "1 while this balancer checks the health of targets for all that share its session store; with health_check_leader alone.";
        leads_taken: Counter => "balancer_health_check_leads_taken_total",
            "Times that this balancer began to check the health of targets for all.";
        verdicts_told: Counter => "balancer_health_verdicts_told_total",
            "Verdicts on targets that this balancer has told the others.";
        verdicts_taken: Counter => "balancer_health_verdicts_taken_total",
            "Verdicts on targets that this balancer has taken from the one that checks.";
        verdicts_refused: By<VerdictRefusal> => "balancer_health_verdicts_refused_total",
            "Verdicts on targets that were not taken, by why.";
    }
}
