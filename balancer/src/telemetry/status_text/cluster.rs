//! The lines on a configuration that nodes share. Must not know: where the document came from.

use std::fmt::{self, Formatter};

use super::words::Plain;
use crate::counters::ClusterNote;

/// The configuration that nodes share.
pub(super) fn cluster_text(cluster: &ClusterNote, f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "configuration: etcd {}, revision {} by {} ({}), node {}{}",
        Plain(&cluster.prefix),
        cluster.revision,
        Plain(&cluster.author),
        Plain(&cluster.digest),
        Plain(&cluster.node),
        if cluster.from_disk { ", as it was kept on disk" } else { "" }
    )?;
    if cluster.state != "in_force" {
        let reason = cluster.reason.as_deref().unwrap_or_default();
        let (state, author) = (cluster.state.to_uppercase(), Plain(&cluster.seen_author));
        writeln!(f, "  REVISION {} by {author} {state}: {}", cluster.seen_revision, Plain(reason))?;
    }
    if let Some(error) = &cluster.error {
        writeln!(f, "  ETCD IS AWAY: {}", Plain(error))?;
    }
    for trouble in [&cluster.not_kept, &cluster.foreign_keys, &cluster.rival].into_iter().flatten() {
        writeln!(f, "  TROUBLE: {}", Plain(trouble))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Text(ClusterNote);

    impl fmt::Display for Text {
        fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
            cluster_text(&self.0, f)
        }
    }

    #[test]
    fn what_is_in_force_is_told_and_why_what_stands_there_is_not() {
        let mut note = ClusterNote {
            prefix: "/lb".into(),
            node: "a".into(),
            revision: 7,
            author: "ann".into(),
            digest: "0f".into(),
            state: "in_force".into(),
            ..ClusterNote::default()
        };
        let good = "configuration: etcd /lb, revision 7 by ann (0f), node a\n";
        assert_eq!(Text(note.clone()).to_string(), good);
        note.state = "refused".into();
        note.reason = Some("x\u{1b}".into());
        (note.seen_revision, note.seen_author) = (8, "bob".into());
        note.error = Some("away".into());
        note.not_kept = Some("/x: no".into());
        let text = Text(note).to_string();
        let more = "  REVISION 8 by bob REFUSED: x\u{fffd}\n  ETCD IS AWAY: away\n  TROUBLE: /x: no\n";
        assert_eq!(text, format!("{good}{more}"));
    }
}
