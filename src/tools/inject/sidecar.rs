//! The sidecar's container, and the settings that make it: flags, then the pod template's annotations.
//!
//! The chart's policy and named template and the kustomize component write the same container; `ci/sidecar` compares.

use super::tree::Node;
use super::value::Value;
use super::value::Value::{List, Map, Plain};
use crate::cli;
use crate::config::limits::{Overflow, QueueLimits};
use crate::config::target::Address;
use crate::config::{self};

/// The name of the container.
pub const NAME: &str = "udp-proxy";
/// The annotation that says who put the container there.
pub const INJECTED: &str = "udp-proxy/injected";
/// The label that the chart's policy looks for; `false` keeps `inject` away, too.
pub const LABEL: &str = "udp-proxy/inject";
/// Every pod has its own /dev/shm, writable for any user even beside a read-only root. So no volume is needed, which
/// would keep some autoscalers from draining the node, and no TCP port, which pods on the host's network would share.
const ADMIN: &str = "unix:///dev/shm/udp-proxy.sock";

/// What makes one sidecar differ from another.
#[derive(Clone, Debug)]
pub struct Settings {
    image: String,
    targets: String,
    port: String,
    log_level: String,
    /// In the order of [`RESOURCES`]; empty means none.
    resources: [String; 4],
}

/// Flag, annotation, and where in `resources` it goes.
const RESOURCES: [(&str, &str); 4] = [
    ("--cpu-request", "udp-proxy/cpu-request"),
    ("--memory-request", "udp-proxy/memory-request"),
    ("--cpu-limit", "udp-proxy/cpu-limit"),
    ("--memory-limit", "udp-proxy/memory-limit"),
];

impl Settings {
    /// The flags, checked but for targets: a template's annotation may give them.
    ///
    /// # Errors
    /// The first flag that cannot be used, and why.
    pub fn from_cli(args: &cli::Inject) -> Result<Self, (&'static str, String)> {
        let resources = [&args.cpu_request, &args.memory_request, &args.cpu_limit, &args.memory_limit];
        let settings = Self {
            image: args.image.clone(),
            targets: args.target.join(" "),
            port: args.port.clone(),
            log_level: args.log_level.clone(),
            resources: resources.map(Clone::clone),
        };
        image(&settings.image).map_err(|why| ("--image", why))?;
        port(&settings.port).map_err(|why| ("--port", why))?;
        level(&settings.log_level).map_err(|why| ("--log-level", why))?;
        for ((flag, _), value) in RESOURCES.iter().zip(&settings.resources) {
            quantity(value).map_err(|why| (*flag, why))?;
        }
        if !settings.targets.trim().is_empty() {
            targets(&settings.targets, &settings.port).map_err(|why| ("--target", why))?;
        }
        Ok(settings)
    }

    /// With what a pod template's annotations say instead.
    ///
    /// # Errors
    /// The first annotation that cannot be used, and why.
    pub fn with_annotations(&self, annotations: Option<&Node>) -> Result<Self, String> {
        let mut settings = self.clone();
        let given = |name: &str| annotations?.get(name)?.text();
        let named = |name: &'static str| move |why: String| format!("annotation {name}: {why}");
        let take = |name: &'static str, setting: &mut String, check: fn(&str) -> Result<(), String>| match given(name) {
            Some(value) => {
                check(value).map_err(named(name))?;
                value.clone_into(setting);
                Ok(())
            }
            None => Ok::<(), String>(()),
        };
        take("udp-proxy/port", &mut settings.port, port)?;
        take("udp-proxy/log-level", &mut settings.log_level, level)?;
        for ((_, name), setting) in RESOURCES.iter().zip(&mut settings.resources) {
            take(name, setting, quantity)?;
        }
        take("udp-proxy/targets", &mut settings.targets, |_| Ok(()))?;
        if settings.targets.trim().is_empty() {
            return Err("there is no target: give --target or the annotation udp-proxy/targets".into());
        }
        targets(&settings.targets, &settings.port).map_err(named("udp-proxy/targets"))?;
        Ok(settings)
    }

    /// The container.
    pub fn container(&self) -> Value {
        let text = |text: &str| Value::text(text);
        let env = |name: &str, value: &str| Map(vec![("name", text(name)), ("value", text(value))]);
        let host = Map(vec![("fieldRef", Map(vec![("fieldPath", text("status.hostIP"))]))]);
        let mut container = vec![
            ("name", text(NAME)),
            ("image", text(&self.image)),
            // What makes an init container a sidecar: it starts before the others, ends after them, and does not
            // keep a Job alive.
            ("restartPolicy", text("Always")),
            (
                "env",
                List(vec![
                    // First, so that targets may name it: $(HOST_IP).
                    Map(vec![("name", text("HOST_IP")), ("valueFrom", host)]),
                    env("UDP_PROXY_SOURCE", &format!("127.0.0.1:{}", self.port)),
                    env("UDP_PROXY_TARGET", &self.targets),
                    env("UDP_PROXY_ADMIN", ADMIN),
                    env("UDP_PROXY_LOG_LEVEL", &self.log_level),
                    // One application's datagrams; each shard has its own buffers.
                    env("UDP_PROXY_SHARDS", "1"),
                ]),
            ),
            (
                "startupProbe",
                Map(vec![
                    // Live and not ready: the application must not wait for a target's name or host.
                    ("exec", Map(vec![("command", List(["/udp-proxy", "healthcheck", "--live"].map(text).to_vec()))])),
                    ("periodSeconds", Plain("1")),
                    ("timeoutSeconds", Plain("5")),
                    ("failureThreshold", Plain("60")),
                ]),
            ),
        ];
        if let Some(resources) = self.resources() {
            container.push(("resources", resources));
        }
        container.push((
            "securityContext",
            Map(vec![
                ("allowPrivilegeEscalation", Plain("false")),
                ("capabilities", Map(vec![("drop", List(vec![text("ALL")]))])),
                ("readOnlyRootFilesystem", Plain("true")),
                // Written out, for the pod's own user may be root.
                ("runAsGroup", Plain("65532")),
                ("runAsNonRoot", Plain("true")),
                ("runAsUser", Plain("65532")),
                ("seccompProfile", Map(vec![("type", text("RuntimeDefault"))])),
            ]),
        ));
        container.push(("terminationMessagePolicy", text("FallbackToLogsOnError")));
        Map(container)
    }

    fn resources(&self) -> Option<Value> {
        let pair = |at: usize| {
            let entries = [("cpu", &self.resources[at]), ("memory", &self.resources[at + 1])];
            let entries: Vec<_> = entries
                .into_iter()
                .filter(|(_, value)| !value.is_empty())
                .map(|(key, value)| (key, Value::text(value)))
                .collect();
            (!entries.is_empty()).then_some(Map(entries))
        };
        let both: Vec<_> = [("requests", pair(0)), ("limits", pair(2))]
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)))
            .collect();
        (!both.is_empty()).then_some(Map(both))
    }
}

fn image(value: &str) -> Result<(), String> {
    match value.is_empty() || value.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => Err(format!("'{value}' is no image: give repository:tag or repository@digest")),
        false => Ok(()),
    }
}

fn port(value: &str) -> Result<(), String> {
    let digits = !value.starts_with(['+', '0']);
    match value.parse::<u16>() {
        Ok(_) if digits => Ok(()),
        _ => Err(format!("'{value}' is not a port: give 1 to 65535")),
    }
}

fn level(value: &str) -> Result<(), String> {
    let raw = cli::Log { log_level: value.to_owned(), log_format: "text".into() };
    config::log(&raw).map(|_| ()).map_err(|error| error.problem)
}

/// What Kubernetes takes for an amount: digits, perhaps with a point, and a unit; nothing takes it away.
fn quantity(value: &str) -> Result<(), String> {
    let number = value.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = &value[number.len()..];
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let known = ["", "m", "k", "M", "G", "T", "Ki", "Mi", "Gi", "Ti"].contains(&unit);
    match value.is_empty() || digits && number.parse::<f64>().is_ok() && known {
        true => Ok(()),
        false => {
            Err(format!("'{value}' is no amount: give for example 10m (CPU) or 16Mi (memory), or nothing for none"))
        }
    }
}

fn targets(value: &str, port: &str) -> Result<(), String> {
    let queue = QueueLimits { datagrams: 4096, bytes: 4 << 20, overflow: Overflow::default() };
    // kubelet puts the address in; any will do to see that the rest is right.
    let words = [value.replace("$(HOST_IP)", "192.0.2.1")];
    for target in config::targets(&words, queue).map_err(|error| error.problem)? {
        let Address::Udp { host, port: own } = &target.address else { continue };
        if ["127.0.0.1", "localhost"].contains(&host.as_str()) && own.to_string() == port {
            return Err(format!("'{}' is the sidecar itself: each datagram would come back", target.address));
        }
    }
    Ok(())
}
