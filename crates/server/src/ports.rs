//! Listening, and words for why it cannot be: which port, and who holds it.

use std::{
    fmt, fs, io,
    net::{SocketAddr, TcpListener},
};

use socket2::{Domain, Protocol, Socket, Type};

/// A port that the server listens on, by its configuration key and flag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    /// The key, `http.listen`.
    pub(crate) key: &'static str,
    /// The flag up to its value, `--http `.
    pub(crate) flag: &'static str,
}

/// Pages, API and playback.
pub(crate) const HTTP: Port = Port { key: "http.listen", flag: "--http " };
/// Publishing and playback over RTMP.
pub(crate) const RTMP: Port = Port { key: "rtmp.listen", flag: "--rtmp " };
/// RTMP over TLS.
pub(crate) const RTMPS: Port = Port { key: "rtmps.listen", flag: "--set rtmps.listen=" };
/// Diagnostics.
pub(crate) const OPS: Port = Port { key: "ops.listen", flag: "--ops " };

impl Port {
    /// Listens on `address`, both IPv4 and IPv6 where it is `[::]`.
    pub(crate) fn listen(self, address: SocketAddr) -> Result<TcpListener, PortError> {
        listen(address).map_err(|source| {
            let holder = (source.kind() == io::ErrorKind::AddrInUse).then(|| holder(address.port())).flatten();
            PortError { port: self, address, holder, source }
        })
    }
}

/// A port that cannot be had.
#[derive(Debug, thiserror::Error)]
pub(crate) struct PortError {
    port: Port,
    address: SocketAddr,
    holder: Option<Holder>,
    source: io::Error,
}

impl fmt::Display for PortError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { port: Port { key, flag }, address, holder, source } = self;
        write!(f, "cannot listen on {address} ({key}): ")?;
        match (source.kind(), holder) {
            (io::ErrorKind::AddrInUse, Some(holder)) => {
                write!(f, "port {} is held by {holder}; stop it, or choose another with {flag}ADDRESS", address.port())
            }
            (io::ErrorKind::AddrInUse, None) => write!(
                f,
                "port {} is in use by a process that this user cannot see; \
                 `sudo ss -ltnp` names it, or choose another with {flag}ADDRESS",
                address.port()
            ),
            (io::ErrorKind::PermissionDenied, _) => {
                write!(f, "ports below 1024 need a privilege (CAP_NET_BIND_SERVICE); choose another with {flag}ADDRESS")
            }
            (io::ErrorKind::AddrNotAvailable, _) => {
                write!(f, "this machine has no address {}; `ip address` lists those it has", address.ip())
            }
            _ => write!(f, "{source}"),
        }
    }
}

/// The process that listens on a port.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Holder {
    name: String,
    pid: u32,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (process {})", self.name, self.pid)
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // Connections of a former run that linger in TIME_WAIT shall not stand in the way; a listener still does.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Finds out through `/proc` which process listens on `port`. None where that system or that process cannot be seen.
fn holder(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| fs::read_to_string(table).unwrap_or_default());
    let inodes = tables.iter().flat_map(|table| table.lines()).filter_map(|line| listening_inode(line, port));
    let sockets: Vec<_> = inodes.map(|inode| format!("socket:[{inode}]")).collect();
    fs::read_dir("/proc").ok()?.flatten().find_map(|process| {
        let pid = process.file_name().to_str()?.parse().ok()?;
        let files = fs::read_dir(process.path().join("fd")).ok()?;
        let holds = |target: &std::path::Path| sockets.iter().any(|socket| target.as_os_str() == socket.as_str());
        files.flatten().any(|file| fs::read_link(file.path()).is_ok_and(|target| holds(&target))).then(|| {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            Holder { name: name.trim().to_owned(), pid }
        })
    })
}

/// The inode of the socket on a line of `/proc/net/tcp`, where it listens on `port` (see proc_net_tcp in the kernel's
/// documentation): `sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode …`.
fn listening_inode(line: &str, port: u16) -> Option<&str> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let (_, local_port) = fields.nth(1)?.rsplit_once(':')?;
    let state = fields.nth(1)?;
    let inode = fields.nth(5)?;
    (state == LISTEN && u16::from_str_radix(local_port, 16) == Ok(port)).then_some(inode)
}

/// Connections that may wait to be accepted; the kernel lowers it to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_port_in_use_names_its_holder() {
        let first = HTTP.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = first.local_addr().unwrap();
        let error = RTMP.listen(address).unwrap_err().to_string();
        let ours = fs::read_to_string("/proc/self/comm").unwrap();
        let expected = format!(
            "cannot listen on {address} (rtmp.listen): port {} is held by {} (process {}); stop it, or choose another \
             with --rtmp ADDRESS",
            address.port(),
            ours.trim(),
            std::process::id()
        );
        assert_eq!(error, expected);
        drop(first);
        RTMP.listen(address).unwrap();
    }

    #[test]
    fn a_holder_on_the_other_family_is_found_too() {
        let first = HTTP.listen("[::]:0".parse().unwrap()).unwrap();
        let port = first.local_addr().unwrap().port();
        let error = RTMP.listen(SocketAddr::from(([0, 0, 0, 0], port))).unwrap_err().to_string();
        assert!(error.contains(&format!("(process {})", std::process::id())), "{error}");
    }

    #[test]
    fn an_address_of_another_machine_is_explained() {
        let error = OPS.listen("192.0.2.1:9600".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("this machine has no address 192.0.2.1"), "{error}");
    }

    #[test]
    fn lines_of_the_kernels_table() {
        let line =
            "   0: 00000000:078F 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 0000";
        assert_eq!(listening_inode(line, 1935), Some("4711"));
        assert_eq!(listening_inode(line, 1936), None);
        assert_eq!(listening_inode(&line.replace(" 0A ", " 01 "), 1935), None, "connected, not listening");
        assert_eq!(listening_inode("  sl  local_address rem_address   st", 1935), None);
        assert_eq!(listening_inode("", 1935), None);
    }
}
