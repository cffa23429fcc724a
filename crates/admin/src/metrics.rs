//! The figures as Prometheus reads them, in the `OpenMetrics` text format. Label values come from closed sets; only
//! names of organizations are not ours, and of those the first so many are told apart. Must not know a socket.

mod connections;

use std::fmt;
use std::sync::Arc;

use ledger::{Health, HealthState};
use meter::Reason;
use net::ListenFigures;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};
use proxy::{Figures, GroupStanding, Histogram, OrganizationStanding, Proxy, SharingNow};

use crate::about::About;

/// Organizations that have series of their own; those after them share `other`.
const MOST_ORGANIZATIONS: usize = 50;
/// The name they share.
const OTHER: &str = "other";
/// In front of every name.
const PREFIX: &str = "tollfree";

/// One reading of everything, to be written out.
struct Snapshot {
    proxy: Proxy,
    ledger: Option<Health>,
    about: About,
    connections: Arc<ListenFigures>,
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").finish_non_exhaustive()
    }
}

/// The figures now, as text.
///
/// # Errors
/// When a figure cannot be written, which no figure of ours brings about.
pub(crate) fn text(
    proxy: &Proxy,
    ledger: Option<Health>,
    about: &About,
    connections: &Arc<ListenFigures>,
) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix(PREFIX);
    registry.register_collector(Box::new(Snapshot {
        proxy: proxy.clone(),
        ledger,
        about: about.clone(),
        connections: Arc::clone(connections),
    }));
    let mut written = String::new();
    text::encode(&mut written, &registry)?;
    Ok(written)
}

/// Writes families one after the other.
struct Families<'e>(DescriptorEncoder<'e>);

/// Of an exemplar, which no figure of ours has.
type NoLabels = [(&'static str, &'static str); 0];

impl Families<'_> {
    fn counter<'l>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in samples {
            if labels.is_empty() {
                family.encode_counter::<NoLabels, _, f64>(&count, None)?;
            } else {
                family
                    .encode_family(&labels)?
                    .encode_counter::<NoLabels, _, f64>(&count, None)?;
            }
        }
        Ok(())
    }

    fn gauge<'l>(
        &mut self,
        (name, unit): (&str, Option<&Unit>),
        help: &str,
        samples: impl IntoIterator<Item = (Vec<(&'static str, &'l str)>, f64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        for (labels, value) in samples {
            if labels.is_empty() {
                family.encode_gauge(&value)?;
            } else {
                family.encode_family(&labels)?.encode_gauge(&value)?;
            }
        }
        Ok(())
    }

    fn histogram(&mut self, name: &str, help: &str, histogram: &Histogram) -> fmt::Result {
        let unit = Unit::Seconds;
        let mut family =
            self.0
                .encode_descriptor(name, help, Some(&unit), MetricType::Histogram)?;
        let (cumulative, all) = histogram.cumulative();
        // The encoder adds the buckets up itself.
        let mut below = 0;
        let mut buckets: Vec<(f64, u64)> = Vec::with_capacity(cumulative.len() + 1);
        for (end, so_far) in cumulative {
            buckets.push((end, so_far - below));
            below = so_far;
        }
        buckets.push((f64::INFINITY, all.saturating_sub(below)));
        family.encode_histogram::<NoLabels>(histogram.sum_seconds(), all, &buckets, None)
    }
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut families = Families(encoder);
        let figures = self.proxy.figures();
        calls(&mut families, figures)?;
        heads(&mut families, figures)?;
        speed(&mut families, figures)?;
        connections::of_clients(&mut families, &self.connections)?;
        connections::upstream(&mut families, self.proxy.upstream_connections())?;
        self.standings(&mut families)?;
        self.ledger(&mut families)?;
        sharing(&mut families, self.proxy.sharing().as_ref())?;
        self.build(&mut families)
    }
}

fn calls(families: &mut Families<'_>, figures: &Figures) -> fmt::Result {
    families.counter(
        "calls",
        "Calls by endpoint, verdict and certainty; verdict none means that there was nothing to settle",
        figures
            .calls()
            .map(|(endpoint, verdict, certainty, count)| {
                let labels = [
                    ("endpoint", endpoint),
                    ("verdict", verdict),
                    ("certainty", certainty),
                ];
                (labels.to_vec(), count)
            }),
    )?;
    // Zeros too: an alert on an increase sees none where a series begins at 1.
    let reasons = Reason::ALL.map(|reason| {
        let counted = figures.reasons().find(|(one, _)| *one == reason);
        (reason, counted.map_or(0, |(_, count)| count))
    });
    families.counter(
        "settlements",
        "Settled calls by reason",
        reasons
            .iter()
            .map(|(reason, count)| (vec![("reason", reason.as_str())], *count)),
    )?;
    families.counter(
        "usage_missing",
        "Metered calls whose usage never came, by reason",
        reasons
            .iter()
            .filter(|(reason, _)| is_missing(*reason))
            .map(|(reason, count)| (vec![("reason", reason.as_str())], *count)),
    )?;
    families.counter(
        "payer_differs",
        "Calls where OpenAI's word on who pays contradicts our verdict, by payer",
        figures
            .payer_differs()
            .map(|(payer, count)| (vec![("payer", payer)], count)),
    )?;
    let plain = |count: u64| [(Vec::new(), count)];
    families.counter(
        "unlisted_but_free",
        "Calls that OpenAI paid for although their model is not listed",
        plain(figures.unlisted_but_free.get()),
    )?;
    families.counter(
        "clients_gone",
        "Metered calls whose client disconnected before the answer was complete",
        plain(figures.clients_gone.get()),
    )?;
    families.counter(
        "client_retries",
        "Metered calls that an OpenAI SDK retried",
        plain(figures.retries.get()),
    )?;
    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a float; calls open at once are few"
    )]
    let open = figures.open() as f64;
    families.gauge(
        ("in_flight_calls", None),
        "Metered calls that are open now",
        [(Vec::new(), open)],
    )
}

/// The reasons why usage never came.
fn is_missing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::UsageMissing
            | Reason::NotAsked
            | Reason::UnreadableBody
            | Reason::ClientGone
            | Reason::UpstreamBroke
    )
}

/// How totals are shared with other replicas; nothing where they are not.
fn sharing(families: &mut Families<'_>, now: Option<&SharingNow>) -> fmt::Result {
    let Some(now) = now else {
        return Ok(());
    };
    let one = |value: u64| [(Vec::new(), tokens(value))];
    families.gauge(
        ("sharing_in_step", None),
        "1 while what other replicas take is known; else free verdicts assume shared-totals",
        one(u64::from(now.is_in_step)),
    )?;
    families.gauge(
        ("sharing_replicas", None),
        "Replicas that share these totals, this one included, as last heard",
        one(now.replicas),
    )?;
    families.gauge(
        ("sharing_missing_replicas", None),
        "Replicas that fell silent today and are not back",
        one(now.missing),
    )?;
    families.counter(
        "sharing_calls",
        "Eligible calls by what assigned their span: the store, or this replica alone",
        [("store", now.granted), ("alone", now.alone)].map(|(by, count)| (vec![("by", by)], count)),
    )?;
    families.counter(
        "sharing_losses",
        "How often the store of shared totals was lost",
        [(Vec::new(), now.losses)],
    )
}

fn heads(families: &mut Families<'_>, figures: &Figures) -> fmt::Result {
    families.counter(
        "forecasts",
        "Heads of streams that said free or billed, by the final verdict",
        figures.foretold().map(|(verdict, outcome, count)| {
            (vec![("verdict", verdict), ("outcome", outcome)], count)
        }),
    )?;
    families.counter(
        "pending_heads",
        "Heads of streams that said neither free nor billed",
        [(Vec::new(), figures.pending_heads())],
    )
}

fn speed(families: &mut Families<'_>, figures: &Figures) -> fmt::Result {
    families.histogram(
        "overhead",
        "Time spent in tollfree, for answers held until they were settled",
        &figures.overhead,
    )?;
    families.histogram(
        "added_first_token",
        "Time spent in tollfree before the head of a stream left",
        &figures.added_first_token,
    )
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge is a float; tokens of a day stay below 2^53"
)]
fn tokens(count: u64) -> f64 {
    count as f64
}

/// A gauge of each organization and model group: name, help, value.
type EachGroup = (&'static str, &'static str, fn(&GroupStanding) -> u64);

const EACH_GROUP: [EachGroup; 6] = [
    ("allowance_tokens", "Tokens free today", |group| {
        group.standing.allowance
    }),
    ("taken_tokens", "Running total of today", |group| {
        group.standing.taken
    }),
    (
        "remaining_tokens",
        "Tokens of the allowance that remain today",
        |group| group.standing.remaining,
    ),
    (
        "slack_tokens",
        "Tokens that may have been taken today without being counted, at most",
        |group| group.standing.slack.tokens,
    ),
    (
        "slack_unlimited",
        "1 if tokens may have been taken today uncounted, with no bound; under other, the number of such organizations",
        |group| u64::from(!group.standing.slack.without_limit.is_empty()),
    ),
    (
        "in_flight_tokens",
        "Tokens that calls in flight may take",
        |group| group.standing.in_flight.tokens,
    ),
];

impl Snapshot {
    fn standings(&self, families: &mut Families<'_>) -> fmt::Result {
        let standings = self.proxy.standings();
        self.tokens(families, &standings)?;
        for (name, help, value) in EACH_GROUP {
            families.gauge((name, None), help, samples(&standings, value))?;
        }
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; the instant is far below 2^53"
        )]
        let reset = self.proxy.today().end() as f64;
        families.gauge(
            ("day_reset_timestamp", Some(&Unit::Seconds)),
            "When the allowances start again: the next 00:00 UTC",
            [(Vec::new(), reset)],
        )
    }

    fn tokens(
        &self,
        families: &mut Families<'_>,
        standings: &[OrganizationStanding],
    ) -> fmt::Result {
        let groups = standings.first().map(|first| &*first.groups);
        let name = |group: usize| Some(&*groups?.get(group)?.group);
        families.counter(
            "tokens",
            "Tokens by model group (other: calls that are not eligible), verdict and direction",
            self.proxy
                .figures()
                .tokens()
                .map(|(group, verdict, direction, count)| {
                    let group = group.and_then(name).unwrap_or("other");
                    let labels = vec![
                        ("group", group),
                        ("verdict", verdict),
                        ("direction", direction),
                    ];
                    (labels, count)
                }),
        )
    }

    fn ledger(&self, families: &mut Families<'_>) -> fmt::Result {
        families.counter(
            "unrecorded",
            "Answers that left before their settlement was in the ledger",
            [(Vec::new(), self.proxy.figures().unrecorded.get())],
        )?;
        let Some(health) = &self.ledger else {
            return Ok(());
        };
        let degraded = u64::from(health.state != HealthState::Ok);
        let one = |value: u64| [(Vec::new(), tokens(value))];
        families.gauge(
            ("ledger_degraded", None),
            "1 while settlements cannot be written",
            one(degraded),
        )?;
        families.gauge(
            ("ledger_waiting_entries", None),
            "Entries that wait to be written",
            one(health.waiting as u64),
        )?;
        families.gauge(
            ("ledger_unmoved", Some(&Unit::Bytes)),
            "Bytes of the tail that are not in the tables yet",
            one(health.unmoved_bytes),
        )?;
        families.counter(
            "ledger_dropped_entries",
            "Settlements and adjustments that could not be kept",
            [(Vec::new(), health.dropped)],
        )?;
        families.counter(
            "ledger_late_entries",
            "How often what waited for a commit, such as an answer, had left when it came",
            [(Vec::new(), health.late)],
        )
    }

    fn build(&self, families: &mut Families<'_>) -> fmt::Result {
        let about = &self.about;
        let labels = vec![
            ("version", env!("CARGO_PKG_VERSION")),
            ("offer", about.list_date.as_str()),
        ];
        families.gauge(
            ("build_info", None),
            "Version of tollfree and date of its model list",
            [(labels, 1.0)],
        )?;
        #[expect(
            clippy::cast_precision_loss,
            reason = "a gauge is a float; seconds are enough"
        )]
        let skew = self.proxy.clock_correction_milliseconds() as f64 / 1000.0;
        families.gauge(
            ("clock_correction", Some(&Unit::Seconds)),
            "What is added to this machine's clock to agree with OpenAI's",
            [(Vec::new(), skew)],
        )
    }
}

/// A sample of each organization and model group; the organizations past the limit are added up.
fn samples(
    standings: &[OrganizationStanding],
    value: fn(&GroupStanding) -> u64,
) -> Vec<(Vec<(&'static str, &str)>, f64)> {
    let mut values: Vec<(&str, &str, u64)> = Vec::new();
    for (place, organization) in standings.iter().enumerate() {
        let is_told_apart = place < MOST_ORGANIZATIONS && organization.name != OTHER;
        for group in &organization.groups {
            let rest = values
                .iter_mut()
                .find(|(whose, name, _)| *whose == OTHER && *name == group.group);
            match rest {
                Some((.., sum)) if !is_told_apart => *sum = sum.saturating_add(value(group)),
                _ if is_told_apart => values.push((&organization.name, &group.group, value(group))),
                _ => values.push((OTHER, &group.group, value(group))),
            }
        }
    }
    let labelled = |(organization, group, value)| {
        let labels = vec![("organization", organization), ("group", group)];
        (labels, tokens(value))
    };
    values.into_iter().map(labelled).collect()
}
