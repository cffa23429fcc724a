//! What the heads of streams say before their calls have ended, over simulated weeks of mixed traffic: how often a word is
//! given, and how often it turns out right. `DEEP=1` plays 52 weeks instead of four.
//!
//! Knows the meter and the shape of traffic: days that cross their allowance and days that do not, calls with and without a
//! bound, many at once. No sockets, no clock: the time is the simulation's.

use std::sync::Arc;

use harness::chance::Chance;
use harness::figures::{self, Figures};
use meter::{
    AfterCrossing, CallAhead, Certainty, Coverage, Day, Evidence, FinishedCall, InFlight, Meter,
    Model, ModelGroup, Offer, OfferParts, Organization, Rules, SharedProjects, Terms, Usage,
    UsageTier, Verdict,
};

/// Weeks: in the gate, and in the long run.
const WEEKS: [i64; 2] = [4, 52];
/// 2026-11-16 00:00 UTC, a Monday.
const MONDAY: i64 = 1_794_787_200;
const DAY: i64 = 24 * 3_600;
/// Tokens free a day of the large group, at usage tier 3.
const ALLOWANCE: u64 = 1_000_000;

/// One kind of call in the mix.
struct Kind {
    endpoint: &'static str,
    model: &'static str,
    /// Of a hundred calls so many are of this kind.
    share: u64,
    /// Input and output are drawn around these, often less, seldom far more.
    input: u64,
    output: u64,
    /// The request says `max_output_tokens`.
    limit: Option<u64>,
}

/// Chats, short and with a limit; agents that carry their history along; a few long answers.
const MIX: [Kind; 5] = [
    kind("chat.completions", "gpt-4o", 40, (900, 250), None),
    kind(
        "chat.completions",
        "gpt-6-sol",
        15,
        (1_500, 600),
        Some(2_000),
    ),
    kind("responses", "gpt-6-sol", 30, (2_500, 500), None),
    kind("responses", "gpt-5.6-sol", 10, (12_000, 900), None),
    kind("responses", "gpt-5.6-luna", 5, (400, 200), None),
];

const fn kind(
    endpoint: &'static str,
    model: &'static str,
    share: u64,
    (input, output): (u64, u64),
    limit: Option<u64>,
) -> Kind {
    Kind {
        endpoint,
        model,
        share,
        input,
        output,
        limit,
    }
}

/// The model that answers.
fn answers(asked: &'static str) -> &'static str {
    match asked {
        "gpt-4o" => "gpt-4o-2024-08-06",
        exact => exact,
    }
}

/// About as much as the middle, half or twice of it more often than not, and up to 16 times of it.
fn around(chance: &mut Chance, middle: u64) -> u64 {
    let doublings = chance.word().count_ones() / 4;
    let least = middle.saturating_mul(1 << doublings.min(12)) >> 8;
    least + chance.between(0, least.max(1))
}

/// A call as it will turn out.
struct Planned {
    kind: &'static Kind,
    began: i64,
    headed: i64,
    ended: i64,
    usage: Usage,
    bound: Option<u64>,
}

fn planned(chance: &mut Chance, began: i64) -> Planned {
    let mut draw = chance.between(0, 99);
    let mut kinds = MIX.iter();
    let kind = loop {
        let kind = kinds.next().expect("the shares are a hundred");
        match draw.checked_sub(kind.share) {
            Some(rest) => draw = rest,
            None => break kind,
        }
    };
    let input = around(chance, kind.input);
    let output = around(chance, kind.output).min(kind.limit.unwrap_or(u64::MAX));
    let headed = began + i64::try_from(chance.between(0, 2)).expect("seconds");
    Planned {
        kind,
        began,
        headed,
        // 50 tokens a second.
        ended: headed + 1 + i64::try_from(output / 50).expect("seconds"),
        usage: Usage {
            input,
            output,
            ..Usage::default()
        },
        // A request has about four bytes a token.
        bound: kind.limit.map(|limit| input * 4 + limit),
    }
}

/// The calls of one day: some days stay far below the allowance, some cross it in the evening, some at noon. Nine of ten
/// come between 07:00 and 19:00.
fn day(chance: &mut Chance, midnight: i64) -> Vec<Planned> {
    let calls = *chance.of_these(&[60, 120, 180, 260, 400]);
    let mut calls: Vec<_> = (0..calls)
        .map(|_| {
            let hours = if chance.percent(90) { (7, 19) } else { (0, 24) };
            let second = chance.between(hours.0 * 3_600, hours.1 * 3_600 - 1);
            planned(chance, midnight + i64::try_from(second).expect("seconds"))
        })
        .collect();
    // Agents come in bursts: several calls at once.
    for _ in 0..6 {
        let at = midnight + i64::try_from(chance.between(8 * 3_600, 18 * 3_600)).expect("seconds");
        calls.extend((0..15).map(|_| planned(chance, at)));
    }
    calls
}

fn offer() -> Offer {
    let group = |name: &str, high| ModelGroup {
        name: name.into(),
        allowances: [high / 4, high / 4, high, high, high],
    };
    let model = |id: &str, group: &str, aliases: Vec<Box<str>>| Model {
        id: id.into(),
        group: group.into(),
        aliases,
        context: None,
    };
    let parts = OfferParts {
        list_date: Day::of_date(2026, 9, 28).expect("a date"),
        price_date: None,
        groups: vec![group("large", ALLOWANCE), group("small", 10 * ALLOWANCE)],
        models: vec![
            model("gpt-6-sol", "large", Vec::new()),
            model("gpt-5.6-sol", "large", Vec::new()),
            model("gpt-4o-2024-08-06", "large", vec!["gpt-4o".into()]),
            model("gpt-5.6-luna", "small", Vec::new()),
        ],
        prices: Vec::new(),
    };
    Offer::new(parts).expect("an offer")
}

/// What heads said, by what came of it.
#[derive(Debug, Default)]
struct Said {
    expected: u64,
    right: u64,
    pending: u64,
    below_80: u64,
    pending_below_80: u64,
}

struct World {
    meter: Meter,
    rules: Rules,
    acme: Organization,
    said: Said,
}

/// A call under way.
struct Open {
    planned: Planned,
    in_flight: Option<InFlight>,
    head: Option<Verdict>,
}

impl World {
    fn new() -> World {
        let terms = Terms {
            usage_tier: UsageTier::new(3),
            enrolled: Some(true),
            shared_projects: Some(SharedProjects::All),
            coverage: Some(Coverage::All),
        };
        let meter = Meter::new(MONDAY);
        let acme = meter.organizations().named("acme").expect("a place");
        World {
            rules: Rules::new(Arc::new(offer()), AfterCrossing::Billed, terms, Vec::new()),
            acme,
            meter,
            said: Said::default(),
        }
    }

    fn head<'a>(&'a self, planned: &Planned, own: Option<&'a InFlight>, at: i64) -> CallAhead<'a> {
        CallAhead {
            organization: &self.acme,
            project: None,
            model: Some(planned.kind.model),
            service_tier: None,
            hosted_tool: false,
            kind: planned.kind.endpoint,
            bound: planned.bound,
            own,
            at,
        }
    }

    fn begins(&self, planned: Planned) -> Open {
        let head = self.head(&planned, None, planned.began);
        let in_flight = self.meter.begin(&self.rules, &head);
        Open {
            planned,
            in_flight,
            head: None,
        }
    }

    fn heads(&mut self, open: &mut Open) {
        let own = open.in_flight.as_ref();
        let head = self.head(&open.planned, own, open.planned.headed);
        let expected = self.meter.expect(&self.rules, &head);
        let (allowance, remaining) = (expected.allowance, expected.remaining);
        let is_below_80 = allowance
            .zip(remaining)
            .is_some_and(|(allowance, remaining)| remaining * 5 > allowance);
        let is_pending = expected.certainty != Some(Certainty::Expected);
        self.said.pending += u64::from(is_pending);
        self.said.below_80 += u64::from(is_below_80);
        self.said.pending_below_80 += u64::from(is_pending && is_below_80);
        if !is_pending {
            self.said.expected += 1;
            open.head = Some(expected.verdict);
        }
    }

    fn ends(&mut self, open: Open) {
        let Planned {
            kind,
            began,
            ended,
            usage,
            ..
        } = open.planned;
        let settled = self.meter.settle(
            &self.rules,
            &FinishedCall {
                organization: &self.acme,
                project: None,
                model: Some(answers(kind.model)),
                model_is_asked: false,
                service_tier: Some("default"),
                payer: None,
                hosted_tool: false,
                usage,
                evidence: Evidence::Reported,
                began,
                at: ended,
            },
        );
        drop(open.in_flight);
        self.meter.took(kind.endpoint, kind.model, usage.tokens());
        let is_right = open.head == Some(settled.verdict);
        self.said.right += u64::from(is_right);
    }
}

/// What happens to a call when; of several at once in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Ends,
    Begins,
    Heads,
}

fn played(weeks: i64) -> Said {
    let mut chance = Chance::of(41);
    let mut world = World::new();
    let mut steps = Vec::new();
    let mut calls = Vec::new();
    for midnight in (0..7 * weeks).map(|day| MONDAY + day * DAY) {
        for planned in day(&mut chance, midnight) {
            let number = calls.len();
            steps.push((planned.began, Step::Begins, number));
            steps.push((planned.headed, Step::Heads, number));
            steps.push((planned.ended, Step::Ends, number));
            calls.push((Some(planned), None));
        }
    }
    steps.sort_unstable();
    for (_, step, number) in steps {
        let (planned, open) = &mut calls[number];
        match step {
            Step::Begins => *open = planned.take().map(|planned| world.begins(planned)),
            Step::Heads => world.heads(open.as_mut().expect("it began")),
            Step::Ends => world.ends(open.take().expect("it began")),
        }
    }
    world.said
}

#[test]
fn weeks_of_mixed_traffic_are_forecast_as_promised() {
    let weeks = WEEKS[usize::from(figures::is_deep())];
    let said = played(weeks);
    let heads = said.expected + said.pending;
    let thousandths = |part: u64, whole: u64| {
        let tenths = part * 10_000 / whole;
        format!("{}.{}", tenths / 10, tenths % 10)
    };
    let mut figures = Figures::of("The word at the head of a stream", "forecast");
    figures.line("simulated weeks", weeks);
    figures.line("heads", heads);
    figures.line("`expected`", said.expected);
    figures.line(
        "of 1,000 of them right (least: 999)",
        thousandths(said.right, said.expected),
    );
    figures.line("`pending`", said.pending);
    figures.line(
        "of 1,000 heads below 80 % of the allowance `pending` (most: 100)",
        thousandths(said.pending_below_80, said.below_80),
    );
    figures.keep();
    assert!(said.right * 1_000 >= said.expected * 999, "{said:?}");
    assert!(said.pending_below_80 * 10 <= said.below_80, "{said:?}");
}
