//! What calls under way may take, as last announced. Must not know sums.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::TableError;
use super::cells::{SumKey, column};
use super::date;
use crate::OpenCalls;

/// A day's announcements are dropped once they say that nothing is under way and it is this many days gone.
const KEPT_DAYS: i32 = 2;

/// What the calls under way of one place may take together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announced {
    pub(super) day: i32,
    pub(super) organization: String,
    pub(super) group: String,
    version: u32,
    /// `None`: without limit.
    pub(super) at_most: Option<u64>,
    touched: bool,
}

/// All announcements, in memory and in the table. Bounded by organizations times groups times three days.
#[derive(Default)]
pub(super) struct Announcements {
    known: HashMap<Vec<u8>, Announced>,
    touched: Vec<Vec<u8>>,
    latest_day: Option<i32>,
    key: Vec<u8>,
}

impl Announcements {
    pub(super) fn read(connection: &Connection) -> Result<Announcements, TableError> {
        let mut announcements = Announcements::default();
        let mut rows = connection
            .prepare("SELECT day, organization, model_group, version, at_most FROM open_calls")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let day: String = row.get(0)?;
            let announced = Announced {
                day: date::day_of(&day).unwrap_or_default(),
                organization: row.get(1)?,
                group: row.get(2)?,
                version: row.get(3)?,
                at_most: row.get::<_, Option<i64>>(4)?.map(i64::unsigned_abs),
                touched: false,
            };
            let mut key = Vec::new();
            announced.place().key_into(&mut key);
            announcements.latest_day = announcements.latest_day.max(Some(announced.day));
            announcements.known.insert(key, announced);
        }
        Ok(announcements)
    }

    /// Hears an announcement; an older one than the last changes nothing.
    pub(super) fn hear(
        &mut self,
        connection: &Connection,
        open: &OpenCalls<'_>,
    ) -> Result<(), TableError> {
        if self.latest_day.is_none_or(|latest| latest < open.day) {
            self.latest_day = Some(open.day);
            self.forget_before(connection, open.day.saturating_sub(KEPT_DAYS))?;
        }
        let place = SumKey {
            day: open.day,
            organization: &open.organization,
            group: &open.group,
        };
        place.key_into(&mut self.key);
        if let Some(known) = self.known.get_mut(&self.key) {
            // Numbers wrap: the later one is less than half the circle ahead.
            if open.version.wrapping_sub(known.version).cast_signed() <= 0 {
                return Ok(());
            }
            known.version = open.version;
            known.at_most = open.at_most;
            if !known.touched {
                known.touched = true;
                self.touched.push(self.key.clone());
            }
            return Ok(());
        }
        self.touched.push(self.key.clone());
        self.known.insert(
            self.key.clone(),
            Announced {
                day: open.day,
                organization: open.organization.as_ref().to_owned(),
                group: open.group.as_ref().to_owned(),
                version: open.version,
                at_most: open.at_most,
                touched: true,
            },
        );
        Ok(())
    }

    /// Writes what was heard since the last time.
    pub(super) fn write(&mut self, connection: &Connection) -> Result<(), TableError> {
        for key in self.touched.drain(..) {
            let Some(known) = self.known.get_mut(&key) else {
                continue;
            };
            known.touched = false;
            connection
                .prepare_cached("INSERT OR REPLACE INTO open_calls VALUES (?1, ?2, ?3, ?4, ?5)")?
                .execute(params![
                    date::text_of(known.day),
                    known.organization,
                    known.group,
                    known.version,
                    known.at_most.map(column)
                ])?;
        }
        Ok(())
    }

    /// Nothing is under way any more; returns what was, until now.
    pub(super) fn clear(&mut self, connection: &Connection) -> Result<Vec<Announced>, TableError> {
        connection
            .prepare_cached("DELETE FROM open_calls")?
            .execute([])?;
        self.touched.clear();
        self.latest_day = None;
        let open = self.known.drain().map(|(_, announced)| announced);
        Ok(open
            .filter(|announced| announced.at_most != Some(0))
            .collect())
    }

    fn forget_before(&mut self, connection: &Connection, day: i32) -> Result<(), TableError> {
        self.write(connection)?;
        connection
            .prepare_cached("DELETE FROM open_calls WHERE day < ?1 AND at_most = 0")?
            .execute([date::text_of(day)])?;
        self.known
            .retain(|_, known| known.day >= day || known.at_most != Some(0));
        Ok(())
    }
}

impl Announced {
    fn place(&self) -> SumKey<'_> {
        SumKey {
            day: self.day,
            organization: &self.organization,
            group: &self.group,
        }
    }
}
