//! The access log: the lines that tell of requests (ALB: access log entries).
//! Must not know: where the facts come from, how lines reach a file (see `sink`).

mod alb;
mod escape;
mod json;
mod record;
mod texts;

use std::sync::Arc;

use super::sink::LogSink;
use crate::model::LineFormat;

pub use self::{
    escape::escape,
    record::{ConnectionEnds, Executed, Record, TlsFacts},
    texts::RecordText,
};

/// Where the requests of a load balancer are logged.
#[derive(Debug)]
pub struct AccessLog {
    /// The file.
    pub sink: Arc<LogSink>,
    /// The form of a line.
    format: LineFormat,
    /// What `elb` says, as that form has it.
    elb: Vec<u8>,
}

impl AccessLog {
    /// A log to this file. `load_balancer`: `app/`, the load balancer's name, `/`, the name of the instance.
    #[must_use]
    pub fn new(sink: Arc<LogSink>, format: LineFormat, load_balancer: &str) -> Self {
        let elb = match format {
            LineFormat::Alb => alb::elb(load_balancer),
            LineFormat::Json => json::elb(load_balancer),
        };
        Self { sink, format, elb }
    }

    /// Appends the line of `record`.
    pub fn line(&self, record: &Record, out: &mut Vec<u8>) {
        match self.format {
            LineFormat::Alb => alb::line(&self.elb, record, out),
            LineFormat::Json => json::line(&self.elb, record, out),
        }
    }
}

#[cfg(test)]
mod tests;
