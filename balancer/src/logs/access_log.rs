//! The access log: the lines that tell of requests (ALB: access log entries).
//! Must not know: where the facts come from, how lines reach a file (see `sink`).

mod alb;
mod escape;
mod json;
mod record;

use std::sync::Arc;

use super::sink::LogSink;
use crate::model::LineFormat;

pub use self::{
    escape::escape,
    record::{ConnectionEnds, Executed, Record, TlsFacts},
};

/// Where the requests of a load balancer are logged.
#[derive(Debug)]
pub struct AccessLog {
    /// The file.
    pub sink: Arc<LogSink>,
    /// The form of a line.
    pub format: LineFormat,
    /// What `elb` says: `app/`, the load balancer's name, `/`, the name of the instance.
    pub load_balancer: String,
}

impl AccessLog {
    /// Appends the line of `record`.
    pub fn line(&self, record: &Record, out: &mut Vec<u8>) {
        match self.format {
            LineFormat::Alb => alb::line(&self.load_balancer, record, out),
            LineFormat::Json => json::line(&self.load_balancer, record, out),
        }
    }
}

#[cfg(test)]
mod tests;
