//! The slow reference: what a history of entries must come to, in plain Rust, from all rows each time.

use std::collections::BTreeMap;

use crate::Crossing;
use crate::{Adjustment, CarriedTotal, DayRow, Entry, OpenCalls, SettledCall, Stated};

type Place = (i32, String, String);

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Sums {
    pub(super) taken: u64,
    pub(super) fitted: u64,
    was_past: Option<u64>,
    contradictions: u32,
    stated: bool,
    allowance: Option<u64>,
    crossing: Option<Crossing>,
    slack: BTreeMap<String, (u64, u32)>,
    lost: u64,
}

/// One row with what it changes.
pub(super) struct Kept {
    pub(super) call: SettledCall<'static>,
    pub(super) adjusts: Option<String>,
    counts_for_group: bool,
}

#[derive(Default)]
pub(super) struct Reference {
    pub(super) rows: Vec<Kept>,
    sums: BTreeMap<Place, Sums>,
    aliases: Vec<(String, String)>,
    open: BTreeMap<Place, (u32, Option<u64>)>,
    clean: bool,
}

impl Reference {
    pub(super) fn new() -> Reference {
        Reference {
            clean: true,
            ..Reference::default()
        }
    }

    /// The last of the names that were joined.
    pub(super) fn known_as(&self, name: &str) -> String {
        let mut known = name.to_owned();
        while let Some((stays, _)) = self.aliases.iter().find(|(_, goes)| *goes == known) {
            known.clone_from(stays);
        }
        known
    }

    pub(super) fn sums(&mut self, day: i32, organization: &str, group: &str) -> &mut Sums {
        let organization = self.known_as(organization);
        self.sums
            .entry((day, organization, group.to_owned()))
            .or_default()
    }

    pub(super) fn apply(&mut self, entry: &Entry<'static>) {
        self.clean = matches!(entry, Entry::Stopped);
        match entry {
            Entry::Settled(call) => self.keep(call, None, false),
            Entry::Open(open) => self.hear(open),
            Entry::Alias { organization, name } => self.join(organization, name),
            Entry::Stated(stated) => self.state(stated),
            Entry::Adjusted(adjustment) => self.adjust(adjustment),
            Entry::Lost {
                organization,
                group,
                day,
                calls,
                tokens,
            } => {
                let sums = self.sums(*day, organization, group);
                sums.lost += calls;
                sums.uncount("unclean-stop", *tokens);
            }
            Entry::Stopped => self.open.clear(),
        }
    }

    fn keep(&mut self, call: &SettledCall<'static>, adjusts: Option<String>, counts: bool) {
        if let (Some(payer), Some(group)) = (&call.payer, &call.group) {
            let sums = self.sums(call.day, &call.organization, group);
            if payer == "openai" {
                sums.contradictions = 0;
            } else if call.ours == "free" {
                sums.contradictions += 1;
            }
        }
        let row = Kept {
            call: call.clone(),
            adjusts,
            counts_for_group: counts,
        };
        let (group, slack_group) = (row.group().to_owned(), row.slack_group().to_owned());
        let sums = self.sums(call.day, &call.organization, &group);
        sums.allowance = call.allowance.or(sums.allowance);
        if let Some((before, after)) = call.span {
            sums.taken += after - before;
            sums.fitted += if call.fitted { after - before } else { 0 };
            let crosses = call
                .allowance
                .is_some_and(|allowance| before <= allowance && after > allowance);
            if crosses && sums.crossing.is_none() && sums.was_past.is_none() {
                sums.crossing = Some(Crossing {
                    call: call.call.to_string(),
                    at: call.settled_at,
                    tokens: after - before,
                    before,
                });
            }
        }
        if let Some(slack) = &call.slack {
            let sums = self.sums(call.day, &call.organization, &slack_group);
            sums.uncount(&slack.source, slack.at_most);
        }
        self.rows.push(row);
    }

    fn adjust(&mut self, adjustment: &Adjustment<'static>) {
        let Adjustment {
            row,
            adjusts,
            change,
            fitted_change,
            was_past,
        } = adjustment;
        let group = row.group.as_deref().unwrap_or_default();
        let mut counts = *change != 0 || *fitted_change != 0;
        let former = self
            .rows
            .iter()
            .rposition(|row| row.first_call() == *adjusts);
        if let Some(former) = former {
            let former = &self.rows[former];
            counts |= row.group.is_some() && former.group() == group;
            if let Some(slack) = former.call.slack.clone()
                && slack.source == "unknown-calls"
            {
                let (day, organization) = (former.call.day, former.call.organization.to_string());
                let slack_group = former.slack_group().to_owned();
                let sums = self.sums(day, &organization, &slack_group);
                if let Some((tokens, causes)) = sums.slack.get_mut("unknown-calls") {
                    match slack.at_most {
                        Some(most) => *tokens = tokens.saturating_sub(most),
                        None => *causes = causes.saturating_sub(1),
                    }
                }
            }
        }
        self.keep(row, Some(adjusts.to_string()), counts);
        let sums = self.sums(row.day, &row.organization, group);
        sums.taken = sums.taken.saturating_add_signed(*change);
        sums.fitted = sums.fitted.saturating_add_signed(*fitted_change);
        sums.was_past = sums.was_past.max(*was_past);
    }

    fn state(&mut self, stated: &Stated<'static>) {
        let sums = self.sums(stated.day, &stated.organization, &stated.group);
        sums.taken = sums.taken.saturating_add_signed(stated.change);
        sums.fitted = stated.tokens;
        sums.was_past = None;
        sums.stated = true;
        sums.slack.clear();
        if sums.allowance.is_none_or(|most| stated.tokens <= most) {
            sums.crossing = None;
        }
    }

    fn hear(&mut self, open: &OpenCalls<'static>) {
        let place = (
            open.day,
            open.organization.to_string(),
            open.group.to_string(),
        );
        let latest = self
            .open
            .entry(place)
            .or_insert((open.version, open.at_most));
        if (1..1 << 31).contains(&open.version.wrapping_sub(latest.0)) {
            *latest = (open.version, open.at_most);
        }
    }

    fn join(&mut self, organization: &str, name: &str) {
        let (stays, goes) = (self.known_as(organization), self.known_as(name));
        if stays == goes {
            return;
        }
        let moved: Vec<Place> = self
            .sums
            .keys()
            .filter(|(_, name, _)| *name == goes)
            .cloned()
            .collect();
        for place in moved {
            let other = self.sums.remove(&place).unwrap();
            let sums = self.sums(place.0, &stays, &place.2);
            sums.taken += other.taken;
            sums.fitted += other.fitted;
            sums.was_past = sums.was_past.max(other.was_past);
            sums.contradictions = sums.contradictions.max(other.contradictions);
            sums.stated = sums.stated && other.stated;
            sums.allowance = sums.allowance.or(other.allowance);
            let crossings = sums.crossing.take().into_iter().chain(other.crossing);
            sums.crossing = crossings.min_by_key(|crossing| crossing.at);
            sums.lost += other.lost;
            for (source, (tokens, causes)) in other.slack {
                let slack = sums.slack.entry(source).or_default();
                slack.0 += tokens;
                slack.1 += causes;
            }
        }
        self.aliases.push((stays, goes));
    }

    /// The next start.
    pub(super) fn restart(&mut self) {
        let open = std::mem::take(&mut self.open);
        if !self.clean {
            for ((day, organization, group), (_, at_most)) in open {
                self.sums(day, &organization, &group)
                    .uncount("unclean-stop", at_most);
            }
        }
        self.clean = true;
    }

    /// What `Reader::days` must say, without places that say nothing.
    pub(super) fn days(&self) -> Vec<DayRow> {
        let mut days: BTreeMap<Place, DayRow> = BTreeMap::new();
        for (place, sums) in &self.sums {
            let day = days.entry(place.clone()).or_default();
            (day.taken, day.fitted, day.lost_calls) = (sums.taken, sums.fitted, sums.lost);
            day.last_allowance = sums.allowance;
            day.crossing.clone_from(&sums.crossing);
            day.slack = sums
                .slack
                .iter()
                .filter(|(_, slack)| **slack != (0, 0))
                .map(|(source, (tokens, causes))| {
                    (source.clone(), (*causes == 0).then_some(*tokens))
                })
                .collect();
        }
        for (index, row) in self.rows.iter().enumerate() {
            let later = self.rows.iter().skip(index + 1);
            if later
                .into_iter()
                .any(|later| later.adjusts.as_deref() == Some(row.first_call()))
            {
                continue;
            }
            let place = (
                row.call.day,
                self.known_as(&row.call.organization),
                row.group().to_owned(),
            );
            row.count(days.entry(place).or_default());
        }
        days.into_iter()
            .map(|((day, organization, group), row)| DayRow {
                day,
                organization,
                group,
                ..row
            })
            .filter(says_something)
            .collect()
    }

    /// What is carried of a place into the next start.
    pub(super) fn carried(&self) -> Vec<CarriedTotal> {
        let carried = self
            .sums
            .iter()
            .map(|((day, organization, group), sums)| CarriedTotal {
                organization: organization.clone(),
                group: group.clone(),
                day: *day,
                taken: sums.taken,
                fitted: sums.fitted,
                was_past: sums.was_past,
                contradictions: sums.contradictions,
                slack: sums
                    .slack
                    .iter()
                    .flat_map(|(source, (tokens, causes))| {
                        let bounded = (*tokens > 0).then(|| (source.clone(), Some(*tokens)));
                        let causes = (0..*causes).map(|_| (source.clone(), None));
                        bounded.into_iter().chain(causes)
                    })
                    .collect(),
                stated: sums.stated,
            });
        carried
            .filter(|total| !total.group.is_empty() || !total.slack.is_empty())
            .collect()
    }
}

/// Whether a place is more than an empty one.
pub(super) fn says_something(row: &DayRow) -> bool {
    let empty = DayRow {
        day: row.day,
        organization: row.organization.clone(),
        group: row.group.clone(),
        ..DayRow::default()
    };
    *row != empty
}

impl Sums {
    fn uncount(&mut self, source: &str, at_most: Option<u64>) {
        if at_most == Some(0) {
            return;
        }
        let slack = self.slack.entry(source.to_owned()).or_default();
        match at_most {
            Some(tokens) => slack.0 += tokens,
            None => slack.1 += 1,
        }
    }
}

impl Kept {
    /// The call as first settled.
    fn first_call(&self) -> &str {
        self.adjusts.as_deref().unwrap_or(&self.call.call)
    }

    fn group(&self) -> &str {
        let in_group =
            self.counts_for_group || self.call.span.is_some() || self.call.verdict == "unknown";
        self.call
            .group
            .as_deref()
            .filter(|_| in_group)
            .unwrap_or_default()
    }

    fn slack_group(&self) -> &str {
        let any = self
            .call
            .slack
            .as_ref()
            .is_some_and(|slack| slack.any_group);
        self.call
            .group
            .as_deref()
            .filter(|_| !any)
            .unwrap_or_default()
    }

    fn count(&self, day: &mut DayRow) {
        let tokens = self
            .call
            .usage
            .map_or(0, |usage| usage.input + usage.output);
        day.calls += 1;
        match &*self.call.verdict {
            "free" => {
                day.free_calls += 1;
                day.free_tokens += tokens;
            }
            "billed" => {
                day.billed_calls += 1;
                day.billed_tokens += tokens;
            }
            _ => day.unknown_calls += 1,
        }
        day.cost_pico += self.call.cost.unwrap_or(0);
        day.saved_pico += self.call.saved.unwrap_or(0);
        day.unpriced_calls += u64::from(tokens > 0 && self.call.cost.is_none());
    }
}
