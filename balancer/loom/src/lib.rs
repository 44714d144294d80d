//! What the session table and the ledger promise, held under every order of their atomic operations that the memory model
//! allows, with as many preemptions as [`check`] says. The sources are those of the product; what they use of it and is
//! beside the point stands in here.
#![allow(
    dead_code,
    unused_imports,
    clippy::unwrap_used,
    reason = "the sources are taken whole, and a model stops at the first thing that is not as promised"
)]

/// The sources of the product under their own paths, and the models beside them.
#[path = "../../src/stickiness"]
pub mod stickiness {
    mod ledger;
    mod mix;
    mod session_table;

    /// One entry alone, which in the product nobody but the table sees.
    #[path = "session_table"]
    pub mod one_entry {
        mod entry;

        #[path = "../../../loom/src/entry_models.rs"]
        pub mod models;
    }

    #[path = "../../loom/src/ledger_models.rs"]
    pub mod ledger_models;
    #[path = "../../loom/src/table_models.rs"]
    pub mod table_models;
}

/// Those of the product, whose orders are tried.
pub(crate) mod atomics {
    pub(crate) use loom::{
        hint::spin_loop,
        sync::atomic::{AtomicU32, AtomicU64, fence},
    };
}

#[path = "../../src/id.rs"]
mod id;

#[path = "../../src/clock"]
mod clock {
    mod seconds;
    pub(crate) use self::seconds::{CLOCK_SKEW, UnixSeconds};
}

mod counters {
    //! As far as the table knows them. Nobody counts here.

    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Evicted {
        New,
        Returned,
        Expired,
    }

    #[derive(Debug)]
    pub struct WorkerCounters {
        pub(crate) sessions_begun: Counter,
        pub(crate) session_table: OfTable,
    }

    #[derive(Debug)]
    pub(crate) struct OfTable {
        pub(crate) evicted: Counter,
    }

    #[derive(Debug)]
    pub(crate) struct Counter;

    impl Counter {
        pub(crate) fn inc(&self) {}

        pub(crate) fn count(&self, _: Evicted) {}
    }
}

/// Tries every order of what `model` does with at most so many preemptions: most faults show with two.
fn check(preemptions: usize, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.max_branches = 20_000;
    builder.check(model);
}
