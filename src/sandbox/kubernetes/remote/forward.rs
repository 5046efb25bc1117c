//! The kubelet's words about connections to ports.

use super::super::runtime::Container;

/// Nothing listens on the port.
pub fn refused(container: &Container, port: u16) -> String {
    let uid = container.uid();
    let short: String = uid.chars().filter(char::is_ascii_hexdigit).collect();
    format!(
        "error forwarding port {port} to pod {short}, uid : failed to execute portforward in network namespace \
         \"/var/run/netns/cni-{uid}\": failed to connect to localhost:{port} inside namespace {short:?}, IPv4: dial tcp4 \
         127.0.0.1:{port}: connect: connection refused IPv6 dial tcp6 [::1]:{port}: connect: connection refused "
    )
}

/// The pod ended under the connection.
pub fn lost(container: &Container) -> String {
    let short: String = container.uid().chars().filter(char::is_ascii_hexdigit).collect();
    format!(
        "error forwarding port: container {short} is not running: network namespace for sandbox {short:?} is closed"
    )
}
