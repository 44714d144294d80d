//! The workspace that Terraform is in.
use std::{fs, path::Path};

use balancer::config;

use super::folders::{answer, answering, body_of};

#[test]
fn the_workspace_is_what_terraform_takes_for_it_and_told_where_nobody_says_it() {
    let text = |value: &str| body_of(value, "").unwrap();
    assert_eq!(text("terraform.workspace"), "default");
    assert_eq!(text("\"${terraform.workspace == \"default\" ? \"one\" : \"other\"}\""), "one");
    let main = answering("\"${terraform.workspace} ${terraform.workspace}\"");
    let read_at = |folder: &Path| {
        let read = config::parse(&[(folder.join("main.tf"), main.clone())]);
        let read = read.unwrap_or_else(|errors| panic!("{errors}"));
        let told = read.remarks.clone();
        (answer(&read).to_owned(), told)
    };
    let folder = tempfile::tempdir().unwrap();
    let (said, told) = read_at(folder.path());
    assert_eq!((said.as_str(), told.len()), ("default default", 1), "{told:?}");
    assert!(told[0].contains("is taken for \"default\"") && told[0].contains("`TF_WORKSPACE`"), "{told:?}");
    // As `terraform workspace select` writes it.
    fs::create_dir(folder.path().join(".terraform")).unwrap();
    fs::write(folder.path().join(".terraform/environment"), "stage").unwrap();
    assert_eq!(read_at(folder.path()), ("stage stage".to_owned(), Vec::new()));
    fs::write(folder.path().join(".terraform/environment"), [0xff; 4]).unwrap();
    assert_eq!(read_at(folder.path()).0, "default default", "it is no name");
}
