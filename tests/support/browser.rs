//! A browser that a test drives: Chromium by Playwright, which is installed from npm, and axe, which looks for barriers.

use std::{
    env,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde_json::{Value, json};

use crate::{apps::chromium, skip};

/// A browser with one page. Ends when dropped.
#[derive(Debug)]
pub struct Browser {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Browser {
    /// Starts one where it is installed; says so where it is not, unless it has to be (`BALANCER_REQUIRE_APPS`).
    ///
    /// # Panics
    /// When it has to be there and is not, or cannot be started.
    #[must_use]
    pub fn start_if_installed() -> Option<Self> {
        _ = chromium()?;
        let own = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = own.parent().unwrap().join("target/test-apps/browser");
        if !folder.join("made-from").is_file() {
            assert!(env::var_os("BALANCER_REQUIRE_APPS").is_none(), "{} is missing", folder.display());
            skip(&format_args!("there is no {}, `cargo xtask test` installs it", folder.display()));
            return None;
        }
        let mut child = Command::new("node")
            .arg(own.join("apps/browser/driver.js"))
            .env("NODE_PATH", folder.join("node_modules"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("node is there");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, input, output })
    }

    /// Does something, see `apps/browser/driver.js`.
    ///
    /// # Errors
    /// What the browser says of it.
    ///
    /// # Panics
    /// When the browser is gone.
    pub fn attempt(&mut self, command: &Value) -> Result<Value, String> {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{command}").expect("the browser listens");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("the browser answers");
        let mut answer: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no answer: {line:?}"));
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["ok"].take()),
        }
    }

    fn done(&mut self, command: &Value) -> Value {
        self.attempt(command).unwrap_or_else(|error| panic!("{command}: {error}"))
    }

    /// Opens a page of this width, light or dark.
    pub fn open(&mut self, url: &str, width: u32, scheme: &str) {
        self.done(&json!({ "do": "open", "url": url, "width": width, "scheme": scheme }));
    }

    /// What an expression is on the page.
    pub fn eval(&mut self, script: &str) -> Value {
        self.done(&json!({ "do": "eval", "script": script }))
    }

    /// Waits until an expression is true on the page.
    pub fn wait(&mut self, script: &str, seconds: f64) {
        self.done(&json!({ "do": "wait", "script": script, "seconds": seconds }));
    }

    /// Clicks what a selector names.
    pub fn click(&mut self, selector: &str) {
        self.done(&json!({ "do": "click", "selector": selector }));
    }

    /// Presses a key.
    pub fn press(&mut self, key: &str) {
        self.done(&json!({ "do": "press", "key": key }));
    }

    /// Writes into a field.
    pub fn fill(&mut self, selector: &str, text: &str) {
        self.done(&json!({ "do": "fill", "selector": selector, "text": text }));
    }

    /// Keeps a picture of the whole page, in `target/dashboard`.
    ///
    /// # Panics
    /// When its folder cannot be made.
    pub fn keep_picture(&mut self, name: &str) {
        let folder = pictures();
        std::fs::create_dir_all(&folder).unwrap();
        self.done(&json!({ "do": "shot", "path": folder.join(format!("{name}.png")) }));
    }

    /// What axe finds wrong; it has to have looked at something.
    ///
    /// # Panics
    /// When it has looked at nothing.
    pub fn barriers(&mut self) -> Vec<String> {
        let found = self.done(&json!({ "do": "axe" }));
        assert!(found["passes"].as_u64().unwrap() > 10, "{found}");
        texts(&found["violations"])
    }

    /// What the page has asked for, what its console and its policy complained about.
    pub fn told(&mut self) -> (Vec<String>, Vec<String>) {
        let told = self.done(&json!({ "do": "told" }));
        let mut complaints = texts(&told["complaints"]);
        complaints.extend(texts(&told["violations"]));
        (texts(&told["requests"]), complaints)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // At the end of its input it ends the browser and itself.
        self.input = None;
        let _ = self.child.wait();
    }
}

fn pictures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("target/dashboard")
}

fn texts(list: &Value) -> Vec<String> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}
