//! The proxy that hyper is by itself, which `bench` measures: its server, its client, a pool of connections, and the work that
//! balancer does for a sticky request (a cookie that is verified and made anew, three fields that tell of the client). One thread;
//! what balancer has beyond that is not here: limits, deadlines, rules, counters, sending again. A yardstick, not a product.

use std::{
    cell::{Cell, RefCell},
    fmt::Write as _,
    hash::Hasher,
    net::SocketAddr,
    rc::Rc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::{Context, Result};
use clap::Args;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Bytes, Incoming},
    client::conn::http1::{SendRequest, handshake},
    header::{self, CONNECTION, HOST, HeaderValue, SET_COOKIE},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use siphasher::sip128::{Hasher128, SipHasher24};
use tokio::net::{TcpListener, TcpStream};

/// The name of its stickiness cookie.
pub(crate) const COOKIE: &str = "HYPER";

/// As Cargo.lock has it.
pub(crate) const VERSION: &str = "1.12.0";

const LIFETIME: u64 = 86_400;

/// `cargo xtask hyper-proxy`.
#[derive(Args)]
pub(crate) struct Options {
    /// Where to accept.
    #[arg(long)]
    listen: SocketAddr,
    /// A target; once for each.
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
}

/// What its connections share.
struct Proxy {
    targets: Vec<Target>,
    next: Cell<usize>,
    /// When it was last looked, and the text of then.
    expires: RefCell<(u64, String)>,
}

struct Target {
    address: SocketAddr,
    idle: RefCell<Vec<SendRequest<Incoming>>>,
}

/// Runs the proxy until it is killed.
///
/// # Errors
/// When it cannot listen.
pub(crate) fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let targets = options.to.iter().map(|&address| Target { address, idle: RefCell::default() }).collect();
    let proxy = Rc::new(Proxy { targets, next: Cell::new(0), expires: RefCell::default() });
    tokio::task::LocalSet::new().block_on(&runtime, accept(options.listen, proxy))
}

async fn accept(listen: SocketAddr, proxy: Rc<Proxy>) -> Result<()> {
    let listener = TcpListener::bind(listen).await.with_context(|| listen.to_string())?;
    loop {
        let (stream, client) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let proxy = Rc::clone(&proxy);
        tokio::task::spawn_local(async move {
            let serve = service_fn(|request| {
                let proxy = Rc::clone(&proxy);
                async move { Ok::<_, hyper::Error>(proxy.answer(request, client).await) }
            });
            // A connection that ends before its time is its client's affair.
            drop(http1::Builder::new().serve_connection(TokioIo::new(stream), serve).await);
        });
    }
}

type Body = BoxBody<Bytes, hyper::Error>;

impl Proxy {
    async fn answer(&self, mut request: Request<Incoming>, client: SocketAddr) -> Response<Body> {
        let known = self.known(&request);
        let chosen = known.unwrap_or_else(|| self.next.replace((self.next.get() + 1) % self.targets.len()));
        let fields = request.headers_mut();
        fields.remove(CONNECTION);
        let port = fields
            .get(HOST)
            .and_then(|host| host.to_str().ok()?.rsplit_once(':'))
            .map_or("80", |(_, port)| port);
        let port = HeaderValue::from_str(port).unwrap_or(HeaderValue::from_static("80"));
        fields.insert("x-forwarded-port", port);
        fields.insert("x-forwarded-proto", HeaderValue::from_static("http"));
        if let Ok(address) = HeaderValue::from_str(&client.ip().to_string()) {
            fields.append("x-forwarded-for", address);
        }
        match self.forward(request, chosen).await {
            Ok(mut response) => {
                response.headers_mut().remove(CONNECTION);
                self.set_cookies(&mut response, chosen);
                response.map(BodyExt::boxed)
            }
            Err(_) => {
                let mut response = Response::new(Full::default().map_err(|never| match never {}).boxed());
                *response.status_mut() = StatusCode::BAD_GATEWAY;
                response
            }
        }
    }

    async fn forward(&self, request: Request<Incoming>, chosen: usize) -> Result<Response<Incoming>> {
        let target = self.targets.get(chosen).context("a target")?;
        let mut connection = match target.idle() {
            Some(connection) => connection,
            None => connect(target.address).await?,
        };
        let response = connection.send_request(request).await?;
        target.idle.borrow_mut().push(connection);
        Ok(response)
    }

    /// The target that the request's cookie proves its client to belong to.
    fn known(&self, request: &Request<Incoming>) -> Option<usize> {
        let cookies = request.headers().get_all(header::COOKIE);
        let mut pairs =
            cookies.iter().filter_map(|field| field.to_str().ok()).flat_map(|field| field.split("; "));
        let value = pairs.find_map(|pair| pair.strip_prefix(COOKIE_IS))?;
        let target = self.verify(value, now());
        target.filter(|target| *target < self.targets.len())
    }

    fn verify(&self, value: &str, now: u64) -> Option<usize> {
        let (said, mark) = value.rsplit_once('.')?;
        let (target, until) = said.split_once('.')?;
        let is_whole = u128::from_str_radix(mark, 16).ok()? == marked(said);
        (is_whole && until.parse::<u64>().ok()? >= now).then(|| target.parse().ok())?
    }

    fn set_cookies(&self, response: &mut Response<Incoming>, target: usize) {
        let now = now();
        let mut expires = self.expires.borrow_mut();
        if expires.0 != now {
            *expires = (now, date(now + LIFETIME));
        }
        let token = token(target, now + LIFETIME);
        for (name, end) in [(COOKIE, ""), ("HYPERCORS", "; SameSite=None; Secure")] {
            let mut text = String::with_capacity(160);
            // Writing to a String cannot fail.
            write!(text, "{name}={token}; Expires={}; Path=/{end}", expires.1).unwrap_or_default();
            if let Ok(value) = HeaderValue::try_from(text) {
                response.headers_mut().append(SET_COOKIE, value);
            }
        }
    }
}

const COOKIE_IS: &str = "HYPER=";

impl Target {
    /// A connection that has nothing to do; those that have ended are let go.
    fn idle(&self) -> Option<SendRequest<Incoming>> {
        let mut idle = self.idle.borrow_mut();
        let place = idle.iter().rposition(SendRequest::is_ready);
        if place.is_none() {
            idle.retain(|connection| !connection.is_closed());
        }
        place.map(|place| idle.swap_remove(place))
    }
}

async fn connect(address: SocketAddr) -> Result<SendRequest<Incoming>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::task::spawn_local(async move {
        // How it ended is told to whoever asks for an answer.
        drop(connection.await);
    });
    Ok(sender)
}

fn token(target: usize, until: u64) -> String {
    let mut text = format!("{target}.{until}");
    let mark = marked(&text);
    write!(text, ".{mark:032x}").unwrap_or_default();
    text
}

/// A yardstick needs no secret.
fn marked(text: &str) -> u128 {
    let mut hasher = SipHasher24::new_with_key(b"a key of a bench");
    hasher.write(text.as_bytes());
    hasher.finish128().as_u128()
}

#[expect(clippy::disallowed_methods, reason = "a yardstick of its own, which takes nothing from balancer")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// As cookies have it: days since 1970 to a date (Howard Hinnant's civil_from_days).
fn date(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let year = year_of_era + era * 400 + u64::from(month >= 10);
    let names = ["Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec", "Jan", "Feb"];
    let weekdays = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let at = |list: &[&'static str], place: u64| {
        usize::try_from(place).ok().and_then(|place| list.get(place).copied()).unwrap_or_default()
    };
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        at(&weekdays, days % 7),
        at(&names, month),
        second / 3600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy() -> Proxy {
        Proxy { targets: Vec::new(), next: Cell::new(0), expires: RefCell::default() }
    }

    #[test]
    fn cookies_are_verified() {
        let token = token(1, 1000);
        assert_eq!(proxy().verify(&token, 1000), Some(1));
        assert_eq!(proxy().verify(&token, 1001), None, "it is over");
        let forged = token.replacen('1', "0", 1);
        for bad in [forged.as_str(), "", "1.1000", "1.1000.", "1.1000.zz"] {
            assert_eq!(proxy().verify(bad, 0), None, "{bad}");
        }
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(1_709_210_096), "Thu, 29 Feb 2024 12:34:56 GMT");
        assert_eq!(date(4_102_444_799), "Thu, 31 Dec 2099 23:59:59 GMT");
    }

    #[test]
    fn its_version_is_that_of_the_lock() {
        let lock = include_str!("../../Cargo.lock");
        assert!(lock.contains(&format!("name = \"hyper\"\nversion = \"{VERSION}\"")));
    }
}
