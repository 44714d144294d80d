//! The dashboard as somebody sees it who opens it in a browser: how soon, what of, by whom, and what it keeps to itself.

use std::{
    fs,
    io::{self, Write as _},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use support::{Balancer, Client, Config, Group, Target, browser::Browser, tls::Certificate};

/// What the page shows of a target's state.
fn state(target: &Target) -> String {
    format!("(document.querySelector('[data-target=\"{}\"] .state')?.textContent ?? '')", target.address)
}

fn page(balancer: &Balancer) -> String {
    format!("http://{}/", balancer.admin)
}

const DRAWN: &str = "Number(document.documentElement.dataset.drawn) >= 1";

/// Clients with cookies that ask until told to stop.
fn clients(balancer: &Balancer, stop: &Arc<AtomicBool>) -> Vec<thread::JoinHandle<()>> {
    let client = |_| {
        let (address, stop) = (balancer.address, Arc::clone(stop));
        thread::spawn(move || {
            let mut client = Client::new(address);
            while !stop.load(Relaxed) {
                client.get("/");
                thread::sleep(Duration::from_millis(20));
            }
        })
    };
    (0..4).map(client).collect()
}

#[test]
fn a_browser_shows_it_within_a_second_and_it_asks_nobody_else() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let targets = [Target::plain(), Target::plain()];
    let balancer = Balancer::start(&Config::with(Group::new("app", &targets.each_ref()).lb_cookie()));
    // How soon a page is there is up to the machine, too: once is enough.
    let shown_after = |browser: &mut Browser| {
        browser.open(&page(&balancer), 1280, "light");
        browser.wait(DRAWN, 20.0);
        browser.eval("Number(document.documentElement.dataset.drawnAfter)").as_f64().unwrap()
    };
    let soonest = (0..5).map(|_| shown_after(&mut browser)).fold(f64::INFINITY, f64::min);
    assert!(soonest < 1000.0, "it is shown after {soonest} ms");
    browser.wait("Number(document.documentElement.dataset.drawn) >= 3", 20.0);
    let (requests, complaints) = browser.told();
    assert!(requests.len() > 5, "{requests:?}");
    for request in &requests {
        assert!(request.starts_with(&page(&balancer)), "it asks {request}");
    }
    assert_eq!(complaints, [""; 0], "the console, or the policy");
    let text = browser.eval("document.body.innerText").as_str().unwrap().to_owned();
    for target in &targets {
        assert!(text.contains(&target.address), "{text}");
    }
    assert!(text.contains("2 of 2 healthy") && text.contains("lb_cookie AWSALB"), "{text}");
    assert_eq!(
        browser.eval("document.querySelectorAll('.tools button').length"),
        0,
        "there is nothing to press"
    );
    // Whatever it is made to do, it runs no script but its own.
    let planted = "{ const s = document.createElement('script'); try { s.textContent = 'window.planted = 1' } catch {} \
        document.body.append(s); window.planted ?? 0 }";
    assert_eq!(browser.eval(planted), 0);
}

#[test]
fn it_follows_a_target_that_is_killed_within_two_seconds() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let targets = [Target::plain(), Target::plain()];
    let balancer = Balancer::start(&Config::with(Group::new("app", &targets.each_ref()).lb_cookie()));
    let stop = Arc::new(AtomicBool::new(false));
    let clients = clients(&balancer, &stop);
    let mut later: Vec<Client> = (0..8).map(|_| Client::new(balancer.address)).collect();
    later.iter_mut().for_each(|client| _ = client.get("/"));
    browser.open(&page(&balancer), 1280, "light");
    browser.wait(&format!("{}.includes('healthy')", state(&targets[0])), 20.0);
    let killed = Instant::now();
    targets[0].kill();
    browser.wait(&format!("{}.includes('unhealthy')", state(&targets[0])), 20.0);
    let shown = killed.elapsed();
    assert!(shown < Duration::from_secs(2), "shown after {shown:?}");
    // An event says so, and where the sessions went.
    let event = format!(
        "[...document.querySelectorAll('#events li')].some((li) => li.innerText.includes('{} of app is unhealthy'))",
        targets[0].address
    );
    browser.wait(&event, 5.0);
    later.iter_mut().for_each(|client| _ = client.get("/"));
    browser.wait("document.querySelector('.moved').innerText.includes('moved: target unhealthy')", 10.0);
    stop.store(true, Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

const TOKEN: &str = "a-token-of-some-length";

/// A balancer that takes actions; its token lies in its folder.
fn with_token(config: &Config) -> Balancer {
    let mut balancer = Balancer::prepare(config);
    let path = balancer.folder().join("token");
    fs::write(&path, TOKEN).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let text = fs::read_to_string(balancer.config_path()).unwrap();
    let line = format!("balancer {{\nadmin_token_file = {:?}\n", path.display().to_string());
    balancer.write_text(&text.replacen("balancer {\n", &line, 1));
    balancer.run();
    balancer.wait_until_settled();
    balancer
}

#[test]
fn a_target_is_drained_by_a_button_with_the_token_and_not_without() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let targets = [Target::plain(), Target::plain()];
    let balancer = with_token(&Config::with(Group::new("app", &targets.each_ref()).lb_cookie()));
    let mut bound: Vec<Client> = (0..6).map(|_| Client::new(balancer.address)).collect();
    bound.iter_mut().for_each(|client| _ = client.get("/"));
    let counts = || targets.each_ref().map(Target::count);
    let own = counts();
    browser.open(&page(&balancer), 1280, "light");
    browser.wait(DRAWN, 20.0);
    assert_eq!(browser.eval("document.querySelectorAll('.tools button').length"), 0, "no token yet");
    let unlock = |browser: &mut Browser, token: &str| {
        browser.click("#unlock");
        browser.fill("#token-field", token);
        browser.click("#token-use");
    };
    let drain = format!("[data-target=\"{}\"] button.drain", targets[0].address);
    let drained = |status: &support::Status| status.target(&targets[0].address)["drained"] == true;
    unlock(&mut browser, "a-token-of-nobody-here");
    browser.click(&drain);
    browser.wait("document.querySelector('#done').innerText.includes('not the balancer')", 10.0);
    assert!(!drained(&balancer.status()));
    balancer.wait_log_line(&["refused", "401"]);
    unlock(&mut browser, TOKEN);
    browser.click(&drain);
    browser.wait(&format!("{}.includes('drained')", state(&targets[0])), 5.0);
    assert!(drained(&balancer.status()));
    browser.keep_picture("drained");
    assert_eq!(browser.barriers(), [""; 0]);
    // Who is bound to it stays; nobody new comes, also after a reload and an upgrade.
    bound.iter_mut().for_each(|client| _ = client.get("/"));
    assert_eq!(counts(), own.map(|count| 2 * count));
    let newcomers = || (0..6).for_each(|_| _ = Client::new(balancer.address).get("/"));
    let before = counts();
    newcomers();
    balancer.signal(rustix::process::Signal::HUP);
    balancer.wait_status("it is reloaded", 20.0, |status| status.0["reloads"] == 1);
    newcomers();
    let _ = balancer.upgraded();
    newcomers();
    assert_eq!(counts(), [before[0], before[1] + 18]);
    assert!(drained(&balancer.status()));
    browser.wait("document.querySelector('#live').textContent.includes('live')", 20.0);
    browser.click(&drain);
    browser.wait(&format!("!{}.includes('drained')", state(&targets[0])), 10.0);
    balancer.wait_status("it is taken back", 10.0, |status| !drained(status));
    assert!(!balancer.log().contains(TOKEN) && !balancer.log().contains("nobody-here"));
}

#[test]
fn it_goes_on_with_the_next_process() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let target = Target::plain();
    let balancer = Balancer::start(&Config::new(&[&target]));
    browser.open(&page(&balancer), 1280, "light");
    browser.wait(DRAWN, 20.0);
    let process = balancer.upgraded();
    let event = format!("document.querySelector('#events').innerText.includes('process {process} ')");
    browser.wait(&event, 20.0);
    browser.wait("document.querySelector('#live').textContent.includes('live')", 20.0);
}

/// Light and dark, wide, narrow and very wide, with all that there is to show, and traffic.
#[test]
fn nobody_is_kept_out_light_or_dark_or_on_a_small_screen() {
    let Some(mut browser) = Browser::start_if_installed() else { return };
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::make(folder.path(), "main", &["example.test"]);
    let targets = [Target::plain(), Target::plain(), Target::plain()];
    let dead = format!("127.0.0.1:{}", support::ports::free());
    let sticky = Group::new("app", &targets.each_ref()).lb_cookie();
    let other = Group::of("api", &[targets[0].address.clone(), dead]).algorithm("weighted_random");
    let condition = ["path_pattern { values = [\"/api/*\"] }"];
    let plain = Balancer::start(&Config::with(sticky).group(other).rule(7, &condition, "api"));
    let secure = Balancer::start(&Config::new(&targets.each_ref()).https(&certificate));
    let stop = Arc::new(AtomicBool::new(false));
    let clients = clients(&plain, &stop);
    for (balancer, name, width, scheme) in [
        (&plain, "light", 1440, "light"),
        (&plain, "dark", 1440, "dark"),
        (&plain, "360-light", 360, "light"),
        (&plain, "360-dark", 360, "dark"),
        (&plain, "4k", 3840, "dark"),
        (&secure, "certificates", 1024, "light"),
    ] {
        browser.open(&page(balancer), width, scheme);
        browser.wait("Number(document.documentElement.dataset.drawn) >= 2", 20.0);
        browser.keep_picture(name);
        assert_eq!(browser.barriers(), [""; 0], "{name}");
        let wider =
            browser.eval("document.documentElement.scrollWidth - window.innerWidth").as_i64().unwrap();
        assert!(wider <= 0, "{name}: {wider} pixels do not fit");
    }
    // Rules are shown with their rates: what no rule is met by goes on.
    browser.open(&page(&plain), 1440, "light");
    let rates = "[...document.querySelectorAll('.rules li .rate')].map((rate) => parseFloat(rate.innerText))";
    browser.wait(&format!("{rates}.length == 2 && {rates}[0] == 0 && {rates}[1] > 1"), 20.0);
    // What can be pressed is reached by keyboard, and says what it does.
    browser.open(&page(&plain), 1440, "light");
    browser.wait(DRAWN, 20.0);
    for _ in 0..3 {
        browser.press("Tab");
        if browser.eval("document.activeElement.id") == "pause" {
            break;
        }
    }
    browser.press("Enter");
    browser.wait("document.querySelector('#live').textContent.includes('paused')", 5.0);
    assert_eq!(browser.eval("document.activeElement.getAttribute('aria-pressed')"), "true");
    stop.store(true, Relaxed);
    clients.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn what_responses_of_a_target_take_is_added_up() {
    let slow = Target::start(|exchange| {
        thread::sleep(Duration::from_millis(30));
        exchange.ok("", "")
    });
    let balancer = Balancer::start(&Config::new(&[&slow]));
    let mut client = Client::new(balancer.address);
    (0..4).for_each(|_| _ = client.get("/"));
    let status = balancer
        .wait_status("all are counted", 10.0, |status| status.target(&slow.address)["responses"]["2xx"] == 4);
    let seconds = status.target(&slow.address)["response_seconds"].as_f64().unwrap();
    assert!((0.12..10.0).contains(&seconds), "{seconds}");
}

/// CPU time of the thread that does all but serve.
fn control_thread(balancer: &Balancer) -> f64 {
    let pid = balancer.pid();
    let stat = fs::read_to_string(format!("/proc/{pid}/task/{pid}/schedstat")).unwrap();
    stat.split(' ').next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// 20 groups of 10 targets each.
#[test]
fn who_looks_costs_next_to_nothing() {
    let target = Target::plain();
    let group = |number: u8| {
        let targets: Vec<String> =
            (1..=10).map(|n| format!("127.0.{number}.{n}:{}", target.port())).collect();
        Group::of(&format!("group-{number}"), &targets).lb_cookie().unchecked()
    };
    let mut config = Config::with(group(0));
    for number in 1..20 {
        let path = format!("path_pattern {{ values = [\"/{number}/*\"] }}");
        config = config.group(group(number)).rule(u16::from(number), &[&path], &format!("group-{number}"));
    }
    let balancer = Balancer::start(&config);
    assert_eq!(balancer.status().targets().len(), 200);
    let over_some_seconds = || {
        let (begun, before) = (Instant::now(), control_thread(&balancer));
        while begun.elapsed() < Duration::from_secs(4) {
            thread::sleep(Duration::from_millis(50));
        }
        (control_thread(&balancer) - before) / begun.elapsed().as_secs_f64()
    };
    let closed = over_some_seconds();
    let mut viewer = TcpStream::connect(balancer.admin).unwrap();
    viewer.write_all(b"GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let reader = thread::spawn(move || io::copy(&mut viewer, &mut io::sink()));
    let open = over_some_seconds();
    // Without optimisation it takes many times as long.
    let is_release = support::balancer::binary().components().any(|part| part.as_os_str() == "release");
    let most = if is_release { 0.005 } else { 0.1 };
    assert!(open - closed < most, "{open} of a core instead of {closed}");
    assert!(open > closed, "somebody was told: {open}, {closed}");
    drop(balancer);
    let read = reader.join().unwrap().unwrap();
    assert!(read > 100_000, "{read} bytes");
}
