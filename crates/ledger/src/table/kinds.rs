//! What very many settlements have in common, kept once: a row names its kind. Must not know what a kind is for.
//!
//! The same kind may be kept twice: after a start, or when more kinds come than are remembered. Kinds go with
//! their day.

use std::borrow::Cow;
use std::collections::HashMap;

use rusqlite::Connection;

use super::TableError;
use super::cells::column;
use super::date;
use super::rows::Binder;
use crate::SettledCall;

/// Kinds remembered, of at most a few KiB each; past it all are forgotten, and what comes again is kept again.
const MOST_KINDS: usize = 2_000;

/// The columns that [`insert`] writes, in their order.
const COLUMNS: &str = "kind, day, organization, project, key_hash, endpoint, model_asked, model, \
    service_tier, stream, status, client, model_group, fitted, slack_source, slack_any_group, allowance_tokens, \
    verdict, certainty, assumes, reason, ours, payer, disputed, straddles, standing_shown, summary_group";

/// The kinds kept of late.
pub(super) struct Kinds {
    known: HashMap<Vec<u8>, i64, ahash::RandomState>,
    last: i64,
    key: Vec<u8>,
}

impl Kinds {
    pub(super) fn read(connection: &Connection) -> Result<Kinds, TableError> {
        let last: Option<i64> =
            connection.query_row("SELECT max(kind) FROM kinds", [], |row| row.get(0))?;
        Ok(Kinds {
            known: HashMap::default(),
            last: last.unwrap_or(0),
            key: Vec::new(),
        })
    }

    /// The number of a call's kind; a new one is kept. `summed`: the call is summed up under its group.
    pub(super) fn of(
        &mut self,
        connection: &Connection,
        call: &SettledCall<'_>,
        summed: bool,
    ) -> Result<i64, TableError> {
        key_into(&mut self.key, call, summed);
        if let Some(kind) = self.known.get(&self.key) {
            return Ok(*kind);
        }
        self.last += 1;
        insert(connection, self.last, call, summed)?;
        if self.known.len() >= MOST_KINDS {
            self.known.clear();
        }
        self.known.insert(self.key.clone(), self.last);
        Ok(self.last)
    }
}

/// All that makes a kind, in one piece.
fn key_into(key: &mut Vec<u8>, call: &SettledCall<'_>, summed: bool) {
    key.clear();
    key.extend_from_slice(&call.day.to_le_bytes());
    key.extend_from_slice(&call.status.to_le_bytes());
    let slack = call.slack.as_ref();
    key.extend(
        [
            call.stream,
            call.fitted,
            call.disputed,
            call.straddles,
            call.standing_shown,
            summed,
            slack.is_some_and(|slack| slack.any_group),
            call.key_hash.is_some(),
            call.allowance.is_some(),
        ]
        .map(u8::from),
    );
    key.extend_from_slice(&call.key_hash.unwrap_or_default());
    key.extend_from_slice(&call.allowance.unwrap_or_default().to_le_bytes());
    for text in [
        &call.organization,
        &call.endpoint,
        &call.verdict,
        &call.assumes,
        &call.reason,
        &call.ours,
    ] {
        piece(key, Some(text));
    }
    for text in [
        call.project.as_ref(),
        call.model_asked.as_ref(),
        call.model.as_ref(),
        call.service_tier.as_ref(),
        call.client.as_ref(),
        call.group.as_ref(),
        slack.map(|slack| &slack.source),
        call.certainty.as_ref(),
        call.payer.as_ref(),
    ] {
        piece(key, text);
    }
}

/// Texts with their length, so that two kinds never look alike.
fn piece(key: &mut Vec<u8>, text: Option<&Cow<'_, str>>) {
    let length = text.map_or(usize::MAX, |text| text.len());
    key.extend_from_slice(&length.to_le_bytes());
    key.extend_from_slice(text.map_or(&[], |text| text.as_bytes()));
}

fn insert(
    connection: &Connection,
    kind: i64,
    call: &SettledCall<'_>,
    summed: bool,
) -> Result<(), TableError> {
    let places = vec!["?"; COLUMNS.split(',').count()].join(", ");
    let sql = format!("INSERT INTO kinds ({COLUMNS}) VALUES ({places})");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut to = Binder::new(&mut statement);
    to.bind(kind)?;
    to.bind(date::text_of(call.day))?;
    to.text(Some(&call.organization))?;
    to.text(call.project.as_ref())?;
    to.bind(call.key_hash.as_ref().map(<[u8; 16]>::as_slice))?;
    to.text(Some(&call.endpoint))?;
    to.text(call.model_asked.as_ref())?;
    to.text(call.model.as_ref())?;
    to.text(call.service_tier.as_ref())?;
    to.bind(call.stream)?;
    to.bind(call.status)?;
    to.text(call.client.as_ref())?;
    to.text(call.group.as_ref())?;
    to.bind(call.fitted)?;
    let slack = call.slack.as_ref();
    to.text(slack.map(|slack| &slack.source))?;
    to.bind(slack.map(|slack| slack.any_group))?;
    to.bind(call.allowance.map(column))?;
    to.text(Some(&call.verdict))?;
    to.text(call.certainty.as_ref())?;
    to.text(Some(&call.assumes))?;
    to.text(Some(&call.reason))?;
    to.text(Some(&call.ours))?;
    to.text(call.payer.as_ref())?;
    to.bind(call.disputed)?;
    to.bind(call.straddles)?;
    to.bind(call.standing_shown)?;
    to.bind(call.group.as_deref().filter(|_| summed).unwrap_or_default())?;
    statement.raw_execute()?;
    Ok(())
}
