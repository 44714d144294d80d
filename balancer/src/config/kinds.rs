//! What kinds of blocks there are by name: ours in both spellings, Terraform's own, those of Classic Load Balancers.
//! Must not know: what is in a block.

pub(super) const NATIVE: &[&str] = &[
    "balancer",
    "shield",
    "session_store",
    "control_api",
    "load_balancer",
    "listener",
    "listener_rule",
    "listener_certificate",
    "certificate",
    "target_group",
    "target_group_attachment",
    "trust_store",
    "trust_store_revocation",
];
/// Those whose Terraform resources have no files: in AWS they lie with ACM and S3.
pub(super) const NATIVE_ALONE: &[&str] = &[
    "balancer",
    "shield",
    "session_store",
    "control_api",
    "certificate",
    "trust_store",
    "trust_store_revocation",
];
/// Those of a whole process, which take no label.
pub(super) const UNLABELLED: [&str; 4] = ["balancer", "shield", "session_store", "control_api"];
/// Terraform's own top-level blocks: accepted, so that a folder of Terraform loads.
pub(super) const TERRAFORM: &[&str] = &[
    "provider",
    "terraform",
    "variable",
    "output",
    "data",
    "locals",
    "module",
    "import",
    "moved",
    "removed",
    "check",
    "ephemeral",
];

/// Whether a line is one that begins a block at the top of a file, from its first column on.
pub(super) fn begins_a_block(line: &str) -> bool {
    let kind = line
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .next()
        .unwrap_or_default();
    let after = line.get(kind.len()..).unwrap_or_default().trim();
    // Some of these are names within blocks as well, and have no label there.
    let labelled = NATIVE.contains(&kind) || kind == "resource";
    let is_ours = if UNLABELLED.contains(&kind) {
        true
    } else if labelled {
        after.starts_with('"')
    } else {
        TERRAFORM.contains(&kind)
    };
    is_ours && after.contains('{')
}

/// The names a kind of block goes by: its own and Terraform's two.
pub(super) fn spellings(native: &str) -> [String; 3] {
    match native {
        "load_balancer" => ["load_balancer".to_owned(), "aws_lb".to_owned(), "aws_alb".to_owned()],
        // ACM's have no files.
        "certificate" => [(); 3].map(|()| native.to_owned()),
        _ => [native.to_owned(), format!("aws_lb_{native}"), format!("aws_alb_{native}")],
    }
}

/// The native kind that a Terraform type stands for; nothing when the type is none of ours.
pub(super) fn native_kind(resource_type: &str) -> Option<&str> {
    if matches!(resource_type, "aws_lb" | "aws_alb") {
        return Some("load_balancer");
    }
    resource_type.strip_prefix("aws_lb_").or_else(|| resource_type.strip_prefix("aws_alb_"))
}

/// Whether a Terraform type is of load balancers, be it done here or not.
pub(super) fn is_ours(resource_type: &str) -> bool {
    native_kind(resource_type).is_some()
}

/// Types of Classic Load Balancers.
pub(super) const CLASSIC: [&str; 9] = [
    "aws_app_cookie_stickiness_policy",
    "aws_elb",
    "aws_elb_attachment",
    "aws_lb_cookie_stickiness_policy",
    "aws_lb_ssl_negotiation_policy",
    "aws_load_balancer_backend_server_policy",
    "aws_load_balancer_listener_policy",
    "aws_load_balancer_policy",
    "aws_proxy_protocol_policy",
];
