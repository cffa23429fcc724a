//! Tells systemd how far the start and the stop have come (`Type=notify`): one datagram a word. It must not know what
//! is started.

use std::ffi::OsStr;
use std::io;
#[cfg(target_os = "linux")]
use std::os::linux::net::SocketAddrExt;
#[cfg(target_os = "linux")]
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use crate::config::Environment;

/// The variable that says where to tell it; not set where nobody asks.
const SOCKET: &str = "NOTIFY_SOCKET";

/// The service manager's ear, if there is one.
pub(crate) struct Systemd(Option<UnixDatagram>);

impl Systemd {
    /// The one this process was started by. One that cannot be reached is a warning: systemd will take the start for
    /// failed.
    pub(crate) fn of(environment: &Environment) -> Self {
        Self(environment.get(SOCKET).and_then(|name| {
            let connected = connect(name);
            let warn = |error: &io::Error| {
                tracing::warn!(%error, "systemd cannot be told that the proxy is ready ({SOCKET})");
            };
            connected.inspect_err(warn).ok()
        }))
    }

    /// Calls are taken from now on.
    pub(crate) fn ready(&self) {
        self.say("READY=1\n");
    }

    /// The stop has begun.
    pub(crate) fn stopping(&self) {
        self.say("STOPPING=1\n");
    }

    fn say(&self, word: &str) {
        if let Some(socket) = &self.0
            && let Err(error) = socket.send(word.as_bytes())
        {
            tracing::warn!(%error, word = word.trim_end(), "systemd could not be told");
        }
    }
}

fn connect(name: &OsStr) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    // Nothing waits for whoever reads the words.
    socket.set_nonblocking(true)?;
    socket.connect_addr(&address(name)?)?;
    Ok(socket)
}

/// A path, or `@` and a name that has no file.
fn address(name: &OsStr) -> io::Result<SocketAddr> {
    #[cfg(target_os = "linux")]
    if let Some(name) = name.as_bytes().strip_prefix(b"@") {
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(name)
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn told(name: OsString, ear: &UnixDatagram) -> Vec<String> {
        let environment: Environment = [(OsString::from(SOCKET), name)].into_iter().collect();
        let systemd = Systemd::of(&environment);
        systemd.ready();
        systemd.stopping();
        let mut buffer = [0; 64];
        let mut word = || {
            let read = ear.recv(&mut buffer).unwrap();
            String::from_utf8(buffer[..read].to_vec()).unwrap()
        };
        vec![word(), word()]
    }

    #[test]
    fn each_word_is_a_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let ear = UnixDatagram::bind(&path).unwrap();
        assert_eq!(told(path.into(), &ear), ["READY=1\n", "STOPPING=1\n"]);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_without_a_file_is_reached_too() {
        let name = format!("tollfree-test-{}", std::process::id());
        let bound = SocketAddr::from_abstract_name(&name).unwrap();
        let ear = UnixDatagram::bind_addr(&bound).unwrap();
        let named = format!("@{name}").into();
        assert_eq!(told(named, &ear), ["READY=1\n", "STOPPING=1\n"]);
    }

    #[test]
    fn nobody_who_asked_is_nobody_told() {
        Systemd::of(&Environment::default()).ready();
        let gone: Environment = [(OsString::from(SOCKET), "/nowhere/notify".into())]
            .into_iter()
            .collect();
        assert!(Systemd::of(&gone).0.is_none());
    }
}
