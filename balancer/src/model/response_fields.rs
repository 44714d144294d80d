//! What a listener puts into responses.

/// The listener attributes `routing_http_response_…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseFields {
    /// `routing_http_response_server_enabled`: whether answers of the balancer's own have `Server`; default true.
    pub server: bool,
    /// Field names with their values, of which none is empty: set on every response.
    pub set: Vec<(&'static str, String)>,
}

impl Default for ResponseFields {
    fn default() -> Self {
        Self { server: true, set: Vec::new() }
    }
}
