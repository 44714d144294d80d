//! Ansible with the modules of amazon.aws and community.aws.

use serde_json::json;
use support::{Client, Target, apps, skip};

use super::{Api, scripts};

/// What EC2 says of security groups.
const NO_GROUPS: &str = "<DescribeSecurityGroupsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\">\
     <requestId>1</requestId><securityGroupInfo/></DescribeSecurityGroupsResponse>";

/// How many tasks of a run were in order and changed something, as its last line says it.
fn recap(said: &str) -> (u32, u32) {
    let line = said.lines().find(|line| line.starts_with("localhost") && line.contains("changed=")).unwrap();
    let number = |name: &str| line.split(name).nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    (number("ok="), number("changed="))
}

#[test]
fn a_second_run_of_a_playbook_finds_what_the_first_has_made() {
    let collections = apps::elbv2().with_file_name("elbv2-collections");
    if !collections.join("made-from").is_file() {
        return skip(&"Ansible's collections are not installed, `cargo xtask test` does that");
    }
    let Some(api) = Api::start() else { return };
    let ec2 = Target::start(|exchange| exchange.ok("Content-Type: text/xml\r\n", NO_GROUPS));
    let targets = api.targets.each_ref().map(|target| {
        let (ip, port) = target.address.rsplit_once(':').unwrap();
        json!({ "Id": ip, "Port": port.parse::<u16>().unwrap() })
    });
    let given = json!({ "endpoint": api.endpoint(), "listener_port": api.port, "targets": targets,
        "ansible_connection": "local", "ansible_python_interpreter": apps::elbv2().join("bin/python") });
    let run = || {
        let mut command = api.program("ansible-playbook");
        command.env("AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2", api.endpoint());
        command.env("AWS_ENDPOINT_URL_EC2", format!("http://{}", ec2.address));
        command.env("ANSIBLE_COLLECTIONS_PATH", &collections).env("ANSIBLE_NOCOLOR", "1");
        command
            .env("ANSIBLE_HOME", api.balancer.folder().join("ansible"))
            .env("ANSIBLE_LOCALHOST_WARNING", "0");
        command
            .args(["-i", "localhost,", "--extra-vars", &given.to_string()])
            .arg(scripts().join("play.yml"));
        let said = api.says(&mut command);
        println!("{said}");
        recap(&said)
    };
    assert_eq!(run(), (4, 4));
    api.balancer.wait_until_settled();
    let mut client = Client::new(([127, 0, 0, 1], api.port).into());
    let first = client.get("/");
    assert!(first.set_cookie("AWSALB").is_some());
    for _ in 0..5 {
        assert_eq!(client.get("/").header("x-target"), first.header("x-target"));
    }
    // The module for groups asks for the name of the application's cookie under a key that AWS does not have, and sets it again.
    assert_eq!(run(), (4, 1), "what was made is what is read back");
    let again = api.balancer.wait_log_lines(&["a change by the ELBv2 API", "targetgroup/by-application"], 4);
    assert!(again.len() == 4 && again[3].contains("ModifyTargetGroupAttributes"), "{again:?}");
    api.assert_sound();
}
