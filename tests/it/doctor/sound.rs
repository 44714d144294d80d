//! Balancers with nothing wrong: of whatever kind they are, nothing is said.

use super::*;

#[test]
fn nothing_is_said_of_a_sound_balancer() {
    let [one, two] = [Target::plain(), Target::plain()];
    let balancer = sticky(&[&one, &two]);
    let told = doctor(&balancer, || visitors(&balancer, 20));
    nothing_named(&told);
    assert_eq!(told.0["instance"], balancer.instance());
    assert!(told.0["requests"].as_u64().unwrap() >= 400, "{:#}", told.0);
    let text = Command::new(binary())
        .args(["doctor", "--seconds", "1", "--admin", &balancer.admin.to_string()])
        .output()
        .unwrap();
    let text = String::from_utf8(text.stdout).unwrap();
    let sound = format!(
        "Nothing to complain of: instance {}, looked at for 1 s with 0 requests.\n",
        balancer.instance()
    );
    assert!(text == sound || text.starts_with("1. NOTICE [kernel_side_off]"), "{text}");
}

#[test]
fn nothing_is_said_of_one_that_has_just_begun_or_has_few_requests() {
    let target = Target::plain();
    let mut balancer = Balancer::prepare(&Config::with(Group::new("app", &[&target]).lb_cookie()));
    balancer.run();
    nothing_named(&doctor_alone(&balancer));
    // Some clients without cookies, and one that comes back.
    let told = doctor_for(&balancer, 1, || {
        let mut client = balancer.client();
        for _ in 0..2 {
            assert_eq!(client.get("/").status, 200);
        }
        thread::sleep(Duration::from_millis(200));
    });
    nothing_named(&told);
    assert!(told.0["requests"].as_u64().unwrap() >= 2, "{:#}", told.0);
}

#[test]
fn nothing_is_said_of_fixed_responses_alone() {
    let fixed = "type = \"fixed-response\"\nfixed_response {\n  content_type = \"text/plain\"\n  status_code = \"200\"\n}";
    let mut balancer =
        Balancer::prepare(&Config { groups: Vec::new(), ..Config::new(&[]).default_action(fixed) });
    balancer.run();
    nothing_named(&doctor_for(&balancer, 1, || {
        let mut connection = balancer.connect();
        for _ in 0..50 {
            assert_eq!(connection.get("/", "").status, 200);
        }
    }));
}

#[test]
fn nothing_is_said_of_https_alone_with_secure_cookies_and_one_target() {
    let target = Target::plain();
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "web", &["example.test"]);
    let group = Group::new("app", &[&target]).lb_cookie().stickiness("cookie_secure = true");
    let balancer = Balancer::start(&Config::with(group).https(&certificate));
    nothing_named(&doctor_for(&balancer, 1, || {
        let mut client = support::tls::Session::open(balancer.address, &[]);
        let first = client.get("/", "");
        let cookie = format!("Cookie: AWSALB={}\r\n", first.cookie("AWSALB").unwrap());
        for _ in 0..50 {
            assert_eq!(client.get("/", &cookie).status, 200);
        }
    }));
}

#[test]
fn nothing_is_said_of_a_deployment_that_keeps_sessions() {
    let old = [Target::plain(), Target::plain()];
    let group = |targets: &[&Target]| {
        Group::new("app", targets)
            .lb_cookie()
            .line("deregistration_stickiness = \"keep\"")
            .algorithm("round_robin")
    };
    let balancer = Balancer::start(&Config::with(group(&old.each_ref())));
    let clients: Vec<Mutex<Client>> = (0..20).map(|_| Mutex::new(balancer.client())).collect();
    let all_ask =
        || clients.iter().for_each(|client| assert_eq!(client.lock().unwrap().get("/").status, 200));
    all_ask();
    let new = [Target::plain(), Target::plain()];
    balancer.reload(&Config::with(group(&new.each_ref())));
    balancer.wait_until_settled();
    // Who was there stays where it is, and who comes goes to the new ones.
    nothing_named(&doctor(&balancer, || {
        all_ask();
        visitors(&balancer, 10);
    }));
}

#[test]
fn nothing_is_said_of_a_slower_target_that_gets_less_nor_of_one_that_comes() {
    let lazy = |takes: u64| {
        Target::start(move |exchange| {
            thread::sleep(Duration::from_millis(takes));
            exchange.ok("", "")
        })
    };
    let [fast, slow] = [lazy(2), lazy(5)];
    let config = |targets: &[&Target]| Config::with(Group::new("app", targets));
    let balancer = Balancer::start(&config(&[&fast, &slow]));
    let ask = || {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mut connection = balancer.connect();
                    (0..50).for_each(|_| assert_eq!(connection.get("/", "").status, 200));
                });
            }
        });
    };
    nothing_named(&doctor(&balancer, ask));
    // A third one comes while it is looked at.
    let more = lazy(2);
    let came = AtomicBool::new(false);
    nothing_named(&doctor(&balancer, || {
        ask();
        if !came.swap(true, SeqCst) {
            balancer.reload(&config(&[&fast, &slow, &more]));
        }
    }));
}

#[test]
fn nothing_is_said_of_an_application_that_sets_a_cookie_of_the_balancers_name_and_sessions_hold() {
    for path in ["/", "/shop"] {
        let targets = ["first", "second"].map(|name| {
            let fields = format!("Set-Cookie: AWSALB=mine; Path={path}\r\nX-Target: {name}\r\n");
            Target::start(move |exchange| exchange.ok(&fields, ""))
        });
        let balancer = sticky(&targets.each_ref());
        nothing_named(&doctor_for(&balancer, 1, || {
            let mut client = balancer.client();
            let home = client.get("/shop/").header("x-target").to_owned();
            // A browser that has both for this path sends that of the longer path first.
            let both = if path == "/" {
                client.cookie_line()
            } else {
                client.cookie_line().replace("Cookie: ", "Cookie: AWSALB=mine; ")
            };
            let mut connection = balancer.connect();
            for _ in 0..20 {
                assert_eq!(connection.get("/shop/", &both).header("x-target"), home);
            }
        }));
    }
}
