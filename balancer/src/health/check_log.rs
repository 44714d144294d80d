//! The log of health checks: a line for each check of a target (ALB: health check log entries).
//! Must not know: when a target is checked, what a result means for it.

use std::{io::Write, sync::Arc, time::Duration};

use serde::Serialize;

use crate::{
    clock::UnixMicros,
    counters::{Cause, Failure},
    logs::{access_log::escape, sink::LogSink},
    model::{Endpoint, HealthCheck, LineFormat, ProbeProtocol, ProtocolVersion},
    target_group::{CheckResult, HealthReason},
};

/// Where checks of targets of a load balancer's groups are logged.
#[derive(Clone, Debug)]
pub struct HealthCheckLog {
    /// The file.
    pub sink: Arc<LogSink>,
    /// The form of a line.
    pub format: LineFormat,
    /// What `elb` says: as in the access log.
    pub load_balancer: String,
}

/// One check.
#[derive(Clone, Copy, Debug)]
pub struct CheckRecord<'a> {
    /// When it ended.
    pub ended: UnixMicros,
    /// How long it took.
    pub latency: Duration,
    /// The target.
    pub endpoint: &'a Endpoint,
    /// How it was checked.
    pub settings: &'a HealthCheck,
    /// Its group.
    pub group: &'a str,
    /// What was found; nothing: the check could not be made.
    pub result: Option<CheckResult>,
    /// The code that the target answered with.
    pub status: Option<u16>,
    /// Why there is none.
    pub failure: Option<&'a Failure>,
}

#[derive(Serialize)]
struct CheckLine<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    time: String,
    latency: f64,
    target_addr: &'a str,
    target_group_id: &'a str,
    status: &'static str,
    status_code: Option<u16>,
    reason_code: Option<&'static str>,
    elb: &'a str,
    ip_address: Option<&'a str>,
    cause: Option<&'static str>,
    error: Option<String>,
}

impl HealthCheckLog {
    /// Appends the line of `record`.
    pub fn line(&self, record: &CheckRecord<'_>, out: &mut Vec<u8>) {
        let mut target = Vec::new();
        escape(record.endpoint.to_string().as_bytes(), &mut target);
        let target = String::from_utf8(target).unwrap_or_default();
        let passed = matches!(record.result, Some(CheckResult::Pass));
        let line = CheckLine {
            kind: kind(record.settings),
            time: record.ended.to_string(),
            latency: record.latency.as_secs_f64(),
            target_addr: &target,
            target_group_id: record.group,
            status: if passed { "PASS" } else { "FAIL" },
            status_code: record.status,
            reason_code: reason(record),
            elb: &self.load_balancer,
            ip_address: None,
            cause: record.failure.map(|failure| failure.cause.as_str()),
            error: record.failure.map(ToString::to_string),
        };
        match self.format {
            LineFormat::Alb => alb(&line, out),
            LineFormat::Json => {
                // Nothing in a line can fail to be written.
                let _ = serde_json::to_writer(&mut *out, &line);
                out.push(b'\n');
            }
        }
    }
}

fn alb(line: &CheckLine<'_>, out: &mut Vec<u8>) {
    let code = line.status_code.map_or_else(|| "-".to_owned(), |code| code.to_string());
    // Writing to a vector does not fail.
    let _ = writeln!(
        out,
        "{} {} {:.6} {} {} {} {code} {} {} -",
        line.kind,
        line.time,
        line.latency,
        line.target_addr.replace(' ', "\\x20"),
        line.target_group_id,
        line.status,
        line.reason_code.unwrap_or("-"),
        line.elb,
    );
}

fn kind(settings: &HealthCheck) -> &'static str {
    match (settings.protocol_version, settings.protocol) {
        (ProtocolVersion::Grpc, _) => "grpc",
        (ProtocolVersion::Http2, _) => "h2",
        (ProtocolVersion::Http1, ProbeProtocol::Https) => "https",
        (ProtocolVersion::Http1, ProbeProtocol::Http) => "http",
    }
}

/// ALB's reason codes, as far as they can be told apart here.
fn reason(record: &CheckRecord<'_>) -> Option<&'static str> {
    match record.result {
        Some(CheckResult::Pass) => None,
        Some(CheckResult::Fail(HealthReason::Timeout)) => Some("TimedOut"),
        Some(CheckResult::Fail(HealthReason::ResponseCodeMismatch(_)))
            if record.settings.protocol_version == ProtocolVersion::Grpc =>
        {
            Some("GRPCUnexpectedStatus")
        }
        Some(CheckResult::Fail(HealthReason::ResponseCodeMismatch(_))) => Some("ResponseCodeMismatch"),
        Some(CheckResult::Fail(_)) => match record.failure.map(|failure| failure.cause) {
            Some(Cause::TargetResetBeforeHead | Cause::TargetResetInHead) => Some("ConnectionReset"),
            Some(Cause::TargetResponseInvalid)
                if record.settings.protocol_version == ProtocolVersion::Grpc =>
            {
                Some("GRPCStatusHeaderEmpty")
            }
            _ => Some("TargetError"),
        },
        None => Some("InternalError"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{logs::sink::Output, model::LogDestination, target_group::test_support::group};

    fn line(
        format: LineFormat,
        result: Option<CheckResult>,
        status: Option<u16>,
        version: ProtocolVersion,
        failure: Option<Cause>,
    ) -> String {
        let output = Output::open(&LogDestination::Stdout, None).unwrap();
        let sink = LogSink::start(output, 0, Arc::default()).unwrap();
        let log = HealthCheckLog { sink, format, load_balancer: "app/main/default".into() };
        let mut settings = group("app", &[]).health_check;
        settings.protocol_version = version;
        let failure = failure.map(Failure::from);
        let record = CheckRecord {
            ended: UnixMicros(1_530_570_180_186_641),
            latency: Duration::from_micros(2_500),
            endpoint: &Endpoint::Tcp("10.0.0.1:80".parse().unwrap()),
            settings: &settings,
            group: "app",
            result,
            status,
            failure: failure.as_ref(),
        };
        let mut out = Vec::new();
        log.line(&record, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_check_is_told_in_albs_fields() {
        use ProtocolVersion::{Grpc, Http1, Http2};
        let fail = |reason| Some(CheckResult::Fail(reason));
        for (result, status, version, kind, end) in [
            (Some(CheckResult::Pass), Some(200), Http1, "http", "PASS 200 -"),
            (
                fail(HealthReason::ResponseCodeMismatch(503)),
                Some(503),
                Http2,
                "h2",
                "FAIL 503 ResponseCodeMismatch",
            ),
            (
                fail(HealthReason::ResponseCodeMismatch(12)),
                Some(12),
                Grpc,
                "grpc",
                "FAIL 12 GRPCUnexpectedStatus",
            ),
            (fail(HealthReason::Timeout), None, Http1, "http", "FAIL - TimedOut"),
            (fail(HealthReason::FailedHealthChecks), None, Http1, "http", "FAIL - TargetError"),
            (None, None, Http1, "http", "FAIL - InternalError"),
        ] {
            assert_eq!(
                line(LineFormat::Alb, result, status, version, None),
                format!(
                    "{kind} 2018-07-02T22:23:00.186641Z 0.002500 10.0.0.1:80 app {end} app/main/default -\n"
                )
            );
        }
    }

    #[test]
    fn a_reset_and_a_call_without_a_status_have_codes_of_their_own() {
        use ProtocolVersion::{Grpc, Http1, Http2};
        let failed = Some(CheckResult::Fail(HealthReason::FailedHealthChecks));
        for (cause, version, reason) in [
            (Cause::TargetResetBeforeHead, Http1, "ConnectionReset"),
            (Cause::TargetResetInHead, Http2, "ConnectionReset"),
            (Cause::TargetClosedBeforeHead, Http1, "TargetError"),
            (Cause::TargetConnectionRefused, Grpc, "TargetError"),
            (Cause::TargetResponseInvalid, Http2, "TargetError"),
            (Cause::TargetResponseInvalid, Grpc, "GRPCStatusHeaderEmpty"),
        ] {
            let text = line(LineFormat::Alb, failed, None, version, Some(cause));
            assert!(text.contains(&format!(" FAIL - {reason} ")), "{cause:?}: {text}");
        }
    }

    #[test]
    fn json_has_the_same_by_name() {
        let text = line(LineFormat::Json, Some(CheckResult::Pass), Some(200), ProtocolVersion::Http1, None);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&value["status"], &value["status_code"]), (&"PASS".into(), &200.into()));
        assert!(value["reason_code"].is_null());
        assert_eq!(value["target_addr"], "10.0.0.1:80");
    }
}
