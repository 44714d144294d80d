//! The dashboard's page: files that are part of the program, and what a browser may do with them, which is to show them and to
//! ask the admin endpoint they came from, and nothing else.
//! Must not know: what is shown.

use http_body_util::Either;
use hyper::{
    Response, StatusCode,
    header::{self, HeaderName, HeaderValue},
};

use super::reply::{AdminReply, body};

/// No script or style but the page's own files, nobody else asked, no frame around it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

/// Path, type and content of each file.
const FILES: [(&str, &str, &str); 10] = [
    ("/", "text/html; charset=utf-8", include_str!("page/index.html")),
    ("/dashboard/style.css", "text/css; charset=utf-8", include_str!("page/style.css")),
    ("/dashboard/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    ("/dashboard/main.js", SCRIPT, include_str!("page/main.js")),
    ("/dashboard/actions.js", SCRIPT, include_str!("page/actions.js")),
    ("/dashboard/history.js", SCRIPT, include_str!("page/history.js")),
    ("/dashboard/charts.js", SCRIPT, include_str!("page/charts.js")),
    ("/dashboard/dom.js", SCRIPT, include_str!("page/dom.js")),
    ("/dashboard/groups.js", SCRIPT, include_str!("page/groups.js")),
    ("/dashboard/panels.js", SCRIPT, include_str!("page/panels.js")),
];

const SCRIPT: &str = "text/javascript; charset=utf-8";

/// The file at `path`; none: there is none.
pub(super) fn file(path: &str) -> Option<AdminReply> {
    let (_, content_type, content) = FILES.iter().find(|(known, ..)| *known == path)?;
    let mut answer = body(StatusCode::OK, content_type, (*content).to_owned());
    protect(&mut answer);
    Some(answer.map(Either::Left))
}

/// Tells browsers what they may do with an answer of the dashboard's.
pub(super) fn protect<B>(answer: &mut Response<B>) {
    let told: [(HeaderName, &'static str); 5] = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in told {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_asks_for_its_own_files_alone() {
        for (path, _, content) in FILES {
            for mark in ["http:", "https:", "//cdn", "@import", "style=\"", "onclick", "innerHTML", "eval("] {
                let found = content.replace("http://www.w3.org/2000/svg", "");
                assert!(!found.contains(mark), "{path} has {mark}");
            }
            for name in content.split('"').filter(|name| name.starts_with("/dashboard/")) {
                assert!(FILES.iter().any(|(known, ..)| *known == name), "{path} names {name}");
            }
            for name in content.split('"').filter_map(|name| name.strip_prefix("./")) {
                let name = format!("/dashboard/{name}");
                assert!(FILES.iter().any(|(known, ..)| *known == name), "{path} imports {name}");
            }
        }
    }
}
