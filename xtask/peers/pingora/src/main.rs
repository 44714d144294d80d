//! A proxy made with Pingora that does what the others do in `cargo xtask bench`: two targets in turns, connections kept to
//! both sides, the client's address passed on, no log. Pingora has no stickiness of its own.
//!
//! `bench-pingora LISTEN TARGET TARGET [CERTIFICATE KEY]`

use std::{env, error::Error, sync::Arc};

use async_trait::async_trait;
use pingora::{
    lb::{LoadBalancer, selection::RoundRobin},
    listeners::tls::TlsSettings,
    prelude::*,
    proxy::{ProxyHttp, Session, http_proxy_service},
    server::configuration::ServerConf,
};

struct Bench(Arc<LoadBalancer<RoundRobin>>);

#[async_trait]
impl ProxyHttp for Bench {
    type CTX = ();

    fn new_ctx(&self) -> Self::CTX {}

    async fn upstream_peer(&self, _: &mut Session, _: &mut ()) -> Result<Box<HttpPeer>> {
        let target = self.0.select(b"", 256).ok_or_else(|| pingora::Error::new_str("no target"))?;
        Ok(Box::new(HttpPeer::new(target, false, String::new())))
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        _: &mut (),
    ) -> Result<()> {
        if let Some(address) = session.client_addr().and_then(|address| address.as_inet()) {
            request.insert_header("X-Forwarded-For", address.ip().to_string())?;
        }
        Ok(())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let (listen, targets, tls) = match arguments.as_slice() {
        [listen, one, two] => (listen, [one, two], None),
        [listen, one, two, certificate, key] => (listen, [one, two], Some((certificate, key))),
        _ => return Err("bench-pingora LISTEN TARGET TARGET [CERTIFICATE KEY]".into()),
    };
    let conf = ServerConf {
        threads: 1,
        work_stealing: false,
        upstream_keepalive_pool_size: 512,
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let targets = LoadBalancer::try_from_iter(targets)?;
    let mut service = http_proxy_service(&server.configuration, Bench(Arc::new(targets)));
    match tls {
        None => service.add_tcp(listen),
        Some((certificate, key)) => {
            let mut settings = TlsSettings::intermediate(certificate, key)?;
            settings.enable_h2();
            service.add_tls_with_settings(listen, None, settings);
        }
    }
    server.add_service(service);
    server.run_forever()
}
