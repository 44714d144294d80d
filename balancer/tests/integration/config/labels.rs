//! Names that Terraform makes up, made of the labels of resources.

use super::folders::{EMPTY, answering, read};

#[test]
fn any_label_of_a_resource_does_where_terraform_makes_the_name_up() {
    let long = "the_group_of_the_application_that_answers_all";
    let text = |labels: &[&str], more: &str| {
        let groups =
            labels.iter().map(|label| format!("resource \"aws_lb_target_group\" \"{label}\" {{}}\n"));
        answering("\"x\"") + &groups.collect::<String>() + more
    };
    let names = |labels: &[&str], more: &str| {
        let read = read(&[("main.tf", &text(labels, more)), EMPTY]).unwrap();
        read.target_groups.into_iter().map(|group| group.name).collect::<Vec<_>>()
    };
    let made = names(&["app", long, "b_", "_", "a_b"], "");
    assert_eq!((made[0].as_str(), made[4].as_str()), ("app", "a-b"));
    assert!(made[1].starts_with("the-group-of-the-applic-") && made[2].starts_with("b-"), "{made:?}");
    let is_name = |name: &String| name.len() <= 32 && !name.starts_with('-') && !name.ends_with('-');
    assert!(made.iter().all(is_name), "{made:?}");
    let mut different = made.clone();
    different.sort();
    different.dedup();
    assert_eq!(different.len(), 5, "{made:?}");
    // It is the same whatever stands beside it: sessions are bound to it.
    assert_eq!(names(&[long], ""), made[1..2]);
    // No other block changes it either: one that would have the same name has to be given another.
    let given = "resource \"aws_lb_target_group\" \"other\" {\n  name = \"app\"\n}\n";
    for (labels, more) in [(&["app"][..], given), (&["a_b", "a-b"], ""), (&["a-b", "a_b"], "")] {
        let fault = read(&[("main.tf", &text(labels, more)), EMPTY]).unwrap_err();
        assert!(fault.contains("is taken by the target group at main.tf:"), "{fault}");
        assert!(fault.contains(if more.is_empty() {
            "allowed: a `name` of its own"
        } else {
            "names that differ"
        }));
    }
    // Those of the balancer's own blocks are for people to write.
    let native = answering("\"x\"") + &format!("target_group \"{long}\" {{}}\n");
    assert!(read(&[("main.tf", &native), EMPTY]).unwrap_err().contains("is no name"));
}
