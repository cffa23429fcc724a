//! How many files and sockets the system lets this process have open, and how many connections fit into that. It must not
//! know what the connections carry.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use net::MOST_REFUSALS;

use crate::admin_listener;
use crate::cli::layout::grouped;

/// Files and sockets besides those of calls, refusals and the page: the ledger, commands, the log.
const RESERVE: u64 = 200;
/// What is not for calls and refusals.
const BESIDE: u64 =
    RESERVE + (admin_listener::MOST_CONNECTIONS + admin_listener::MOST_REFUSALS) as u64;
/// Each call may have a connection to its client and one to upstream.
const EACH: u64 = 2;
/// So many are asked for where less is needed: what nobody uses costs nothing.
const ROOM: u64 = 1 << 20;
/// What macOS gives where it says that there is no limit.
const MACOS: u64 = 10_240;

/// How many connections are accepted.
#[derive(Debug)]
pub(crate) struct Room {
    /// So many, at once.
    pub(crate) connections: usize,
    /// So many clients beyond them are told so at the same time.
    pub(crate) refusals: usize,
    wanted: usize,
    limit: u64,
}

impl Room {
    /// Takes as many descriptors as the system gives and are of use. Where too few are left for as many connections as are
    /// wanted, fewer are accepted: without descriptors the next client, and the calls of all others, would be without an
    /// answer instead of with a 503.
    pub(crate) fn take(wanted: usize) -> Room {
        let limit = raised(needed(wanted)).unwrap_or(u64::MAX);
        Room::within(limit, wanted)
    }

    fn within(limit: u64, wanted: usize) -> Room {
        let connections = fitting(limit).min(wanted);
        let taken = (connections as u64).saturating_mul(EACH) + BESIDE;
        let left = usize::try_from(limit.saturating_sub(taken)).unwrap_or(usize::MAX);
        Room {
            connections,
            refusals: left.clamp(1, MOST_REFUSALS),
            wanted,
            limit,
        }
    }

    /// Tells that it is less than what was wanted.
    pub(crate) fn tell(&self) {
        match self.wanted - self.connections {
            0 => {}
            // Nobody has so exact a number in mind.
            missing if missing <= self.wanted / 10 => tracing::info!("{}", self.told()),
            _ => tracing::warn!("{}", self.told()),
        }
    }

    fn told(&self) -> String {
        format!(
            "the system lets this process have {} files and sockets open, room for {} connections at once instead of {} \
             (listener.most_connections). help: allow {} (ulimit -n, LimitNOFILE=, docker run --ulimit nofile=), or set \
             listener.most_connections to {}",
            grouped(self.limit),
            grouped(self.connections as u64),
            grouped(self.wanted as u64),
            needed(self.wanted),
            self.connections
        )
    }
}

/// The limit that is in force, raised as far as that is allowed and of use; none: there is no limit.
fn raised(needed: u64) -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let current = current?;
    let useful = needed.max(ROOM);
    let most = maximum.map_or(useful, |maximum| maximum.min(useful));
    let raise = |to: &u64| {
        let limit = Rlimit {
            current: Some(*to),
            maximum,
        };
        // A sandbox may forbid it: what was there before stays.
        *to > current && setrlimit(Resource::Nofile, limit).is_ok()
    };
    Some([most, MACOS].into_iter().find(raise).unwrap_or(current))
}

/// With as many refusals as connections, or as many as there ever are.
fn needed(connections: usize) -> u64 {
    let refusals = connections.min(MOST_REFUSALS) as u64;
    (connections as u64)
        .saturating_mul(EACH)
        .saturating_add(refusals + BESIDE)
}

/// Where there is next to nothing, half of it is for connections.
fn fitting(limit: u64) -> usize {
    let room = limit - BESIDE.min(limit / 2);
    let fit = (room / (EACH + 1)).max(room.saturating_sub(MOST_REFUSALS as u64) / EACH);
    usize::try_from(fit).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_fit_as_leave_room_for_their_calls_and_for_the_rest() {
        assert_eq!(needed(10_000), 21_544);
        for (limit, fit) in [
            (21_544, 10_000),
            (20_000, 9_228),
            (1_024, 170),
            (256, 42),
            (3, 1),
            (0, 1),
        ] {
            assert_eq!(fitting(limit), fit, "{limit}");
        }
        for limit in (1_100..40_000).step_by(7) {
            let fit = fitting(limit);
            assert!(needed(fit) <= limit && limit < needed(fit + 1), "{limit}");
        }
    }

    #[test]
    fn refusals_have_what_is_left() {
        let refusals = |limit, wanted| Room::within(limit, wanted).refusals;
        assert_eq!(refusals(1 << 20, 10), MOST_REFUSALS);
        assert_eq!(refusals(1_024, 10_000), 164);
        assert_eq!(refusals(100, 10_000), 1);
    }

    #[test]
    fn the_warning_says_what_to_set() {
        let room = Room::within(1_024, 10_000);
        let said = room.told();
        assert!(said.contains("have 1,024 files"), "{said}");
        assert!(said.contains("allow 21544 (ulimit -n"), "{said}");
        assert!(said.ends_with("most_connections to 170"), "{said}");
    }
}
