use std::fs;

use super::*;

const ROOMS: &str = "# House\n\n| room | owns |\n| --- | --- |\n| `app` | all |\n| `http`, `rules` | requests |\n| `model` | words |\n| `kernel` | tables |\n\nMore.\n";

/// What is wrong with a crate of these files beside `lib.rs`, which has the rooms.
fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let rooms = "pub mod app;\npub mod http;\npub mod kernel;\npub mod model;\npub mod rules;\n";
    let empty = ["app.rs", "http.rs", "kernel.rs", "model.rs", "rules.rs"].map(|file| (file, ""));
    for (path, text) in [("lib.rs", rooms)].iter().chain(&empty).chain(files) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    inspect(folder.path(), ROOMS).unwrap().1
}

#[test]
fn arrows_that_run_down_are_in_order() {
    let files = [
        ("app.rs", "use crate::{http::Plan, kernel, model};\nfn run(_: model::Word) { kernel::open(); }\n"),
        ("http.rs", "mod plan;\npub use self::plan::Plan;\n"),
        ("http/plan.rs", "use crate::{model::Word, rules::Rule};\npub struct Plan(Word, Rule);\n"),
        ("rules.rs", "pub struct Rule;\n"),
        ("kernel.rs", "pub fn open() { unsafe {} }\n"),
        ("model.rs", "pub struct Word;\n"),
    ];
    assert_eq!(faults(&files), Vec::<String>::new());
}

#[test]
fn a_ring_of_files_is_told_with_the_lines_that_make_it() {
    let files = [
        ("http.rs", "mod client;\nmod plan;\npub use self::{client::Client, plan::Plan};\n"),
        ("http/client.rs", "//! Clients.\nuse super::Plan;\npub struct Client(Plan);\n"),
        (
            "http/plan.rs",
            "pub struct Plan;\nimpl Plan {\n    fn ask() {\n        super::client::Client::new();\n    }\n}\n",
        ),
    ];
    let ring = "a ring of 2 files: http/client.rs, http/plan.rs
    http/client.rs:2: `super::Plan` of http/plan.rs
    http/plan.rs:4: `super::client::Client::new` of http/client.rs";
    assert_eq!(faults(&files), [ring]);
}

#[test]
fn a_room_and_its_own_part_are_a_ring_as_well() {
    let files = [
        ("http.rs", "mod plan;\npub struct Limits;\nfn serve() { plan::make() }\n"),
        ("http/plan.rs", "pub fn make() {\n    assert_eq!(super::Limits::MOST, 1);\n}\n"),
    ];
    let ring = "a ring of 2 files: http.rs, http/plan.rs
    http.rs:3: `plan::make` of http/plan.rs
    http/plan.rs:2: `super::Limits::MOST` of http.rs";
    assert_eq!(faults(&files), [ring]);
}

#[test]
fn the_shortest_way_round_a_large_ring_is_told() {
    let files = [
        ("http.rs", "mod a;\nmod b;\nmod c;\n"),
        ("http/a.rs", "use super::b::B;\npub struct A(B);\n"),
        ("http/b.rs", "use super::c::C;\npub struct B(C);\n"),
        ("http/c.rs", "use super::{a::A, b::B};\npub struct C(A, B);\n"),
    ];
    let [ring] = <[String; 1]>::try_from(faults(&files)).unwrap();
    assert!(
        ring.starts_with("a ring of 3 files: http/a.rs, http/b.rs, http/c.rs\n    http/b.rs:1: "),
        "{ring}"
    );
    assert_eq!(ring.lines().count(), 3, "{ring}");
}

#[test]
fn an_arrow_that_runs_up_is_told() {
    let files = [
        ("model.rs", "pub struct Word(crate::http::Plan);\n"),
        ("http.rs", "pub struct Plan;\n"),
        ("rules.rs", "use crate::http::*;\nuse balancer_common::http::Other;\n"),
    ];
    assert_eq!(
        faults(&files),
        [
            "model.rs:1: `crate::http::Plan` of http.rs: `http` is no room below `model`",
            "rules.rs:1: `crate::http` of http.rs: `http` is no room below `rules`",
        ]
    );
}

#[test]
fn what_is_for_tests_is_in_nobodys_way() {
    let files = [
        (
            "model.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::http::Plan;\n}\n#[cfg(test)]\nuse crate::app::run;\n",
        ),
        (
            "http.rs",
            "pub struct Plan;\nimpl Plan {\n    #[cfg(test)]\n    fn of() { crate::app::run() }\n}\n#[cfg(test)]\nmod helpers;\n",
        ),
        ("http/helpers.rs", "use crate::app::run;\n"),
        ("app.rs", "pub fn run() {}\n"),
    ];
    assert_eq!(faults(&files), Vec::<String>::new());
}

#[test]
fn unsafe_has_its_room() {
    let files = [
        ("kernel.rs", "mod words;\n"),
        ("kernel/words.rs", "unsafe fn load() {}\n"),
        (
            "rules.rs",
            "macro_rules! peek {\n    () => {\n        unsafe { peek() }\n    };\n}\nunsafe impl Send for u8 {}\n",
        ),
    ];
    assert_eq!(
        faults(&files),
        ["rules.rs:3: `unsafe` outside of `kernel`", "rules.rs:6: `unsafe` outside of `kernel`"]
    );
}

#[test]
fn a_file_has_600_lines_at_most() {
    assert_eq!(faults(&[("model.rs", &"\n".repeat(600))]), Vec::<String>::new());
    assert_eq!(faults(&[("model.rs", &"\n".repeat(601))]), ["model.rs: 601 lines; allowed: 600 at most"]);
}

#[test]
fn a_name_is_that_of_a_type_in_one_file() {
    let files = [
        ("model.rs", "pub struct Seen;\nmod inner {\n    pub(super) trait Told {}\n}\n"),
        ("rules.rs", "\n\nenum Seen {}\n"),
        ("http.rs", "type Told = u8;\nlabels! {\n    /// Why.\n    pub enum Cause by \"cause\" {}\n}\n"),
        ("app.rs", "union Cause { a: u8 }\n"),
    ];
    assert_eq!(
        faults(&files),
        [
            "`Cause` is the name of several types: app.rs:1, http.rs:4",
            "`Seen` is the name of several types: model.rs:1, rules.rs:3",
            "`Told` is the name of several types: http.rs:1, model.rs:3",
        ]
    );
}

#[test]
fn names_of_tests_functions_and_traits_are_their_own() {
    let files = [
        (
            "model.rs",
            "pub struct Seen;\n#[cfg(unix)]\nstruct Told(u8);\n#[cfg(not(unix))]\nstruct Told(u16);\n",
        ),
        ("rules.rs", "#[cfg(test)]\nmod tests {\n    struct Seen;\n}\n#[cfg(test)]\nstruct Told;\n"),
        (
            "http.rs",
            "fn look() {\n    struct Seen;\n    impl Iterator for Seen {\n        type Item = u8;\n    }\n}\n",
        ),
        (
            "app.rs",
            "trait Look {\n    type Seen;\n}\nimpl Look for u8 {\n    type Seen = Self;\n}\nuse crate::model::Seen;\n",
        ),
        (
            "kernel.rs",
            "macro_rules! seen {\n    () => {\n        struct Seen;\n    };\n}\nlabels! { fn of() { struct Told; } }\n",
        ),
    ];
    assert_eq!(faults(&files), Vec::<String>::new());
}

#[test]
fn the_table_has_every_room_once() {
    let files = [("http.rs", "pub mod quick;\n"), ("quick.rs", "")];
    assert_eq!(faults(&files[1..]), ["quick.rs: in no room; ARCHITECTURE.md has them in its table"]);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("lib.rs"), "").unwrap();
    let table = "| room | owns |\n| --- | --- |\n| `app` | all |\n";
    assert_eq!(inspect(folder.path(), table).unwrap().1, ["ARCHITECTURE.md: there is no room `app`"]);
    let twice = inspect(folder.path(), &format!("{table}| `app` | more |\n")).unwrap_err();
    assert_eq!(twice.to_string(), "ARCHITECTURE.md: `app` stands twice in the table of rooms");
    assert!(inspect(folder.path(), "No table.").is_err());
}
