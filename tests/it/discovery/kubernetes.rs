//! EndpointSlices, from a server that answers what an API server of Kubernetes answers: its lists, events, bookmarks, and the end of a
//! watch that is too old. The answers have the form of those of a real one; there is none here.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::{Answer, Target, target::Exchange};

use super::{group, source, start, wait_fault, wait_targets};

/// What the server has, and what is to be sent to who watches.
#[derive(Debug, Default)]
struct Cluster {
    slices: Vec<Value>,
    version: u64,
    events: VecDeque<Value>,
    /// `resourceVersion` of each watch, and how often all was listed.
    watched_from: Vec<String>,
    lists: usize,
    /// A watch is ended as soon as it is begun; none: not at all, or by forgetting what was before.
    ends_watches: Option<WatchEnd>,
    /// Lists and watches are refused: status and what is said of it.
    refuses: Option<(&'static str, &'static str)>,
    /// What is sent beside events, without a pause; empty: nothing.
    storm: String,
    is_over: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum WatchEnd {
    Over,
    Gone,
}

#[derive(Clone, Debug, Default)]
struct ApiServer(Arc<(Mutex<Cluster>, Condvar)>);

fn slice(name: &str, endpoints: &[(&Target, &str)]) -> Value {
    let port = endpoints.first().map_or(80, |(target, _)| target.port());
    let each: Vec<Value> = endpoints
        .iter()
        .map(|(target, condition)| {
            let address = target.address.split(':').next().unwrap();
            let (ready, serving, terminating) = match *condition {
                "ready" => (true, true, false),
                "terminating" => (false, true, true),
                _ => (false, false, true),
            };
            json!({
                "addresses": [address],
                "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
                "nodeName": "worker-1", "zone": "eu-central-1a",
                "targetRef": {"kind": "Pod", "namespace": "shop", "name": "web-6d4b75cb6d-hx7xn", "uid": "x"},
            })
        })
        .collect();
    json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {
            "name": name, "generateName": "web-", "namespace": "shop", "uid": "9f1f6f4e", "resourceVersion": "12",
            "generation": 3, "labels": {"kubernetes.io/service-name": "web"},
        },
        "addressType": "IPv4", "endpoints": each,
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    })
}

impl ApiServer {
    fn change(&self, change: impl FnOnce(&mut Cluster)) {
        change(&mut self.0.0.lock().unwrap());
        self.0.1.notify_all();
    }

    /// Sets a slice, and tells who watches.
    fn put(&self, kind: &str, slice: &Value) {
        self.change(|cluster| {
            cluster.version += 1;
            let mut slice = slice.clone();
            slice["metadata"]["resourceVersion"] = json!(cluster.version.to_string());
            let name = slice["metadata"]["name"].clone();
            cluster.slices.retain(|known| known["metadata"]["name"] != name);
            if kind != "DELETED" {
                cluster.slices.push(slice.clone());
            }
            cluster.events.push_back(json!({"type": kind, "object": slice}));
        });
    }

    fn serve(&self) -> Target {
        let server = self.clone();
        Target::start(move |exchange| server.answer(exchange))
    }

    fn answer(&self, exchange: &mut Exchange) -> Answer {
        let target = exchange.request.target.clone();
        let path = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dweb&";
        let Some(query) = target.strip_prefix(path) else {
            exchange.send("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
            return Answer::Close;
        };
        if let Some((status, words)) = self.0.0.lock().unwrap().refuses {
            let said = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": words}).to_string();
            exchange.send(format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nRetry-After: 1\r\nContent-Length: {}\r\n\r\n{said}",
                said.len()
            ));
            return Answer::Close;
        }
        let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).map(str::to_owned);
        if value("watch=").is_none() {
            let mut cluster = self.0.0.lock().unwrap();
            cluster.lists += 1;
            cluster.events.clear();
            let from: usize = value("continue=").map_or(0, |rest| rest.parse().unwrap());
            let rest = (from + 1 < cluster.slices.len()).then(|| (from + 1).to_string());
            let page: Vec<&Value> = cluster.slices.iter().skip(from).take(1).collect();
            let list = json!({
                "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
                "metadata": {"resourceVersion": cluster.version.to_string(), "continue": rest}, "items": page,
            })
            .to_string();
            exchange.send(format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{list}",
                list.len()
            ));
            return Answer::Close;
        }
        assert_eq!(value("allowWatchBookmarks=").as_deref(), Some("true"));
        self.change(|cluster| cluster.watched_from.push(value("resourceVersion=").unwrap()));
        let ends = self.0.0.lock().unwrap().ends_watches;
        if let Some(end) = ends {
            let status = if end == WatchEnd::Gone { "410 Gone" } else { "200 OK" };
            exchange.send(format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"));
            return Answer::Close;
        }
        exchange
            .send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
        let (cluster, changed) = &*self.0;
        loop {
            let mut guard = changed
                .wait_while(cluster.lock().unwrap(), |cluster| {
                    cluster.events.is_empty() && cluster.storm.is_empty() && !cluster.is_over
                })
                .unwrap();
            if guard.is_over {
                return Answer::Close;
            }
            let Some(event) = guard.events.pop_front() else {
                let storm = guard.storm.clone();
                drop(guard);
                exchange.send(format!("{:x}\r\n{storm}\r\n", storm.len()));
                continue;
            };
            drop(guard);
            if event["type"] == "END" {
                exchange.send("0\r\n\r\n");
                return Answer::Close;
            }
            // In two pieces, as it may come.
            let line = format!("{event}\n");
            let (first, second) = line.split_at(line.len() / 2);
            for piece in [first, second] {
                exchange.send(format!("{:x}\r\n{piece}\r\n", piece.len()));
            }
            if event["type"] == "ERROR" {
                exchange.send("0\r\n\r\n");
                return Answer::Close;
            }
        }
    }
}

impl Drop for ApiServer {
    fn drop(&mut self) {
        if Arc::strong_count(&self.0) <= 2 {
            self.change(|cluster| cluster.is_over = true);
        }
    }
}

/// Three targets that share a port, as the pods of a service do.
fn pods() -> [Target; 3] {
    loop {
        let first = Target::plain();
        let port = first.port();
        let others = ["127.0.0.2", "127.0.0.3"].map(|host| format!("{host}:{port}"));
        if others.iter().all(|address| support::ports::is_free(address.parse().unwrap())) {
            let [second, third] =
                others.map(|address| Target::at(&address, false, |exchange| exchange.ok("", "pod")));
            return [first, second, third];
        }
    }
}

#[test]
fn slices_are_listed_and_watched_and_listed_anew_when_they_are_forgotten() {
    let pods = pods();
    let [one, two, three] = &pods;
    let api = ApiServer::default();
    api.put("ADDED", &slice("web-a", &[(one, "ready")]));
    api.put("ADDED", &slice("web-b", &[(two, "ready")]));
    let server = api.serve();
    let settings = format!("server = \"http://{}\"\ntimeout = 2", server.address);
    let balancer = start(group("kubernetes:shop/web:http", &settings).lb_cookie());
    wait_targets(&balancer, &[one, two]);
    let lists = || api.0.0.lock().unwrap().lists;
    assert_eq!(lists(), 2, "a page each");

    api.put("ADDED", &slice("web-c", &[(three, "ready")]));
    wait_targets(&balancer, &[one, two, three]);
    // Who terminates and serves keeps its sessions and gets nobody new.
    let mut clients: Vec<_> = (0..12).map(|_| balancer.client()).collect();
    let before = three.count();
    clients.iter_mut().for_each(|client| drop(client.get("/")));
    let bound = three.count() - before;
    assert!(bound > 0);
    api.put("MODIFIED", &slice("web-c", &[(three, "terminating")]));
    balancer.wait_status("it is about to go", 20.0, |status| status.state(&three.address) == "draining");
    let before = three.count();
    clients.iter_mut().for_each(|client| drop(client.get("/")));
    assert_eq!(three.count() - before, bound, "its sessions stay");
    (0..12).for_each(|_| drop(balancer.connect().get("/", "")));
    assert_eq!(three.count() - before, bound, "and nobody new comes");
    // Who serves no more is no target.
    api.put("MODIFIED", &slice("web-c", &[(three, "gone")]));
    wait_targets(&balancer, &[one, two]);
    api.put("DELETED", &slice("web-c", &[]));

    // A watch that ends is begun anew where a bookmark was.
    api.change(|cluster| {
        let mark = json!({"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "metadata": {"resourceVersion": "5000", "creationTimestamp": null}});
        cluster.events.push_back(json!({"type": "BOOKMARK", "object": mark}));
        cluster.events.push_back(json!({"type": "END"}));
    });
    support::until("the watch goes on from the bookmark", 20.0, || {
        api.0.0.lock().unwrap().watched_from.contains(&"5000".to_owned()).then_some(())
    });
    assert_eq!(lists(), 2, "nothing was listed again");

    // What happened while the server forgot is found by listing anew.
    api.change(|cluster| {
        cluster.version = 6000;
        cluster.slices = vec![slice("web-a", &[(one, "ready")]), slice("web-d", &[(three, "ready")])];
        let gone = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": "too old resource version: 5000 (6000)", "reason": "Expired", "code": 410});
        cluster.events.push_back(json!({"type": "ERROR", "object": gone}));
    });
    wait_targets(&balancer, &[one, three]);
    assert!(source(&balancer.status())["error"].is_null());

    // Events that are none, and a server that is gone.
    api.change(|cluster| {
        cluster.events.push_back(json!({"type": "ADDED", "object": {"kind": "EndpointSlice"}}))
    });
    balancer.wait_log_line(&["the source of a group's targets fails", "has no EndpointSlice"]);
    wait_targets(&balancer, &[one, three]);
    server.kill();
    api.change(|cluster| cluster.events.push_back(json!({"type": "END"})));
    wait_fault(&balancer, "unreachable", "", &[one, three]);
    api.change(|cluster| cluster.is_over = true);
}

/// As a server does that is overloaded, or something before it that holds no long answers.
#[test]
fn a_server_that_ends_each_watch_at_once_is_not_asked_all_the_time() {
    for end in [WatchEnd::Over, WatchEnd::Gone] {
        let target = Target::plain();
        let api = ApiServer::default();
        api.put("ADDED", &slice("web-a", &[(&target, "ready")]));
        api.change(|cluster| cluster.ends_watches = Some(end));
        let server = api.serve();
        let balancer =
            start(group("kubernetes:shop/web:http", &format!("server = \"http://{}\"", server.address)));
        wait_targets(&balancer, &[&target]);
        let watches = || api.0.0.lock().unwrap().watched_from.len();
        support::until("it is watched", 20.0, || (watches() > 0).then_some(()));
        let began = Instant::now();
        support::until("it is watched for the third time", 30.0, || (watches() >= 3).then_some(()));
        // One second, and two.
        assert!(began.elapsed() > Duration::from_secs(2), "{end:?}: {:?}", began.elapsed());
        // Once it does, it is heard what has changed.
        api.change(|cluster| cluster.ends_watches = None);
        let before = watches();
        support::until("it is watched", 30.0, || (watches() > before).then_some(()));
        assert!(source(&balancer.status())["error"].is_null());
        api.change(|cluster| cluster.is_over = true);
    }
}

/// What a server says of a refusal is told, and what was known stays, whether it is asked for a watch or for all.
#[test]
fn a_server_that_refuses_is_told_in_its_own_words() {
    let target = Target::plain();
    let api = ApiServer::default();
    api.put("ADDED", &slice("web-a", &[(&target, "ready")]));
    let server = api.serve();
    let balancer = start(group(
        "kubernetes:shop/web:http",
        &format!("server = \"http://{}\"\ninterval = 5", server.address),
    ));
    wait_targets(&balancer, &[&target]);
    let forbidden =
        "endpointslices.discovery.k8s.io is forbidden: User \"system:serviceaccount:shop:lb\" cannot list";
    for (status, words) in [
        ("403 Forbidden", forbidden),
        ("429 Too Many Requests", "too many requests, please try again later"),
        ("401 Unauthorized", "Unauthorized"),
        ("410 Gone", "The provided continue parameter is too old"),
    ] {
        api.change(|cluster| {
            cluster.refuses = Some((status, words));
            cluster.events.push_back(json!({"type": "END"}));
        });
        let told = format!("answers {}: {words}", &status[..3]);
        wait_fault(&balancer, "refused", &told, &[&target]);
        api.change(|cluster| cluster.refuses = None);
        balancer.wait_status("it is well again", 40.0, |status| source(status)["failing"] == false);
        wait_targets(&balancer, &[&target]);
    }
    api.change(|cluster| cluster.is_over = true);
}

/// Changes that follow each other more closely than they are collected.
#[test]
fn changes_without_a_pause_are_told_all_the_same() {
    let pods = pods();
    let [one, two, three] = &pods;
    let api = ApiServer::default();
    api.put("ADDED", &slice("web-a", &[(one, "ready")]));
    // Of a pod that is no target, however it is.
    let line = |endpoints| format!("{}\n", json!({"type": "MODIFIED", "object": slice("web-c", endpoints)}));
    let both = [line(&[(three, "gone")]), line(&[])].concat();
    api.change(|cluster| cluster.storm = both.repeat(100));
    let server = api.serve();
    let balancer =
        start(group("kubernetes:shop/web:http", &format!("server = \"http://{}\"", server.address)));
    wait_targets(&balancer, &[one]);
    api.put("ADDED", &slice("web-b", &[(two, "ready")]));
    wait_targets(&balancer, &[one, two]);
    api.change(|cluster| cluster.is_over = true);
}
