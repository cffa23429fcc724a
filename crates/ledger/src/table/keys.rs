//! Which key was last seen with which organization and project, written only when that changed. Must not know
//! what a key is: only its keyed hash.

use std::collections::HashMap;

use meter::Organizations;
use rusqlite::{Connection, params};

use super::TableError;
use crate::SettledCall;

/// Keys kept in memory; past it all are forgotten, and each is written once more.
const MOST_KEYS: usize = 100_000;

/// How long the last use of a key stands before it is written again, in milliseconds: an hour.
const REFRESH: i64 = 3_600_000;

struct Seen {
    organization: Box<str>,
    project: Option<Box<str>>,
    at: i64,
}

/// What is written of each key that was seen since the start.
#[derive(Default)]
pub(super) struct Keys {
    seen: HashMap<[u8; 16], Seen, ahash::RandomState>,
}

impl Keys {
    /// Learns from a 2xx answer with whom its key is seen.
    pub(super) fn see(
        &mut self,
        connection: &Connection,
        call: &SettledCall<'_>,
    ) -> Result<(), TableError> {
        let Some(key_hash) = call.key_hash else {
            return Ok(());
        };
        if !(200..300).contains(&call.status) || call.organization == Organizations::UNKNOWN {
            return Ok(());
        }
        if let Some(seen) = self.seen.get(&key_hash)
            && *seen.organization == *call.organization
            && seen.project.as_deref() == call.project.as_deref()
            && call.settled_at.saturating_sub(seen.at) < REFRESH
        {
            return Ok(());
        }
        connection
            .prepare_cached("INSERT OR REPLACE INTO keys VALUES (?1, ?2, ?3, ?4)")?
            .execute(params![
                key_hash,
                call.organization,
                call.project,
                call.settled_at
            ])?;
        if self.seen.len() >= MOST_KEYS {
            self.seen.clear();
        }
        self.seen.insert(
            key_hash,
            Seen {
                organization: call.organization.as_ref().into(),
                project: call.project.as_deref().map(Into::into),
                at: call.settled_at,
            },
        );
        Ok(())
    }
}
