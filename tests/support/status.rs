//! The status document of a running balancer, with the paths that tests look at.

use serde_json::Value;

/// What `GET /status` gave.
#[derive(Clone, Debug)]
pub struct Status(pub Value);

impl Status {
    /// The targets of all groups, in order.
    #[must_use]
    pub fn targets(&self) -> Vec<&Value> {
        let groups = self.0["target_groups"].as_array().map(Vec::as_slice).unwrap_or_default();
        groups
            .iter()
            .flat_map(|group| group["targets"].as_array().map(Vec::as_slice).unwrap_or_default())
            .collect()
    }

    /// The target at this address, as the configuration writes it.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn target(&self, address: &str) -> &Value {
        self.find(address).unwrap_or_else(|| panic!("no target {address} in {}", self.0))
    }

    /// The target at this address, if it is there.
    #[must_use]
    pub fn find(&self, address: &str) -> Option<&Value> {
        self.targets().into_iter().find(|target| {
            let (id, port) = (target["id"].as_str().unwrap_or_default(), &target["port"]);
            let id =
                if id.contains(':') && !id.starts_with("unix:") { format!("[{id}]") } else { id.to_owned() };
            address == id || address == format!("{id}:{port}")
        })
    }

    /// The state of the target at this address.
    #[must_use]
    pub fn state(&self, address: &str) -> &str {
        self.target(address)["state"].as_str().unwrap_or_default()
    }

    /// A figure over everything, `totals.NAME`.
    #[must_use]
    pub fn total(&self, name: &str) -> u64 {
        self.0["totals"][name].as_u64().unwrap_or_else(|| panic!("no total {name} in {}", self.0["totals"]))
    }

    /// How often the balancer answered with this status by itself.
    #[must_use]
    pub fn own(&self, status: u16) -> u64 {
        self.0["totals"]["own_responses"][status.to_string()].as_u64().unwrap_or(0)
    }

    /// How often stickiness of the first group was decided with this outcome.
    #[must_use]
    pub fn decisions(&self, outcome: &str) -> u64 {
        self.0["target_groups"][0]["stickiness"]["decisions"][outcome].as_u64().unwrap_or(0)
    }

    /// Whether the kernel side is in use.
    #[must_use]
    pub fn kernel_assist(&self) -> bool {
        self.0["kernel_assist"].as_bool().unwrap_or(false)
    }
}
