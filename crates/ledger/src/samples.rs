//! Entries for tests. Must not know what is tested with them.

use crate::{Entry, OpenCalls, SettledCall, Slack, Tokens};

/// The day the samples are of.
pub(crate) const DAY: i32 = 20_779;

/// A settled call like most: eligible, free, a thousand tokens.
pub(crate) fn call(id: &str) -> SettledCall<'_> {
    SettledCall {
        call: id.into(),
        response_id: Some(format!("chatcmpl-{id}").into()),
        request_id: Some(format!("req_{id}").into()),
        began_at: i64::from(DAY) * 86_400_000,
        settled_at: i64::from(DAY) * 86_400_000 + 1_234,
        day: DAY,
        organization: "acme".into(),
        project: Some("proj_1".into()),
        key_hash: Some([7; 16]),
        endpoint: "chat".into(),
        model_asked: Some("gpt-5-mini".into()),
        model: Some("gpt-5-mini-2025-08-07".into()),
        service_tier: Some("default".into()),
        status: 200,
        client: Some("OpenAI/Python 2.1.0".into()),
        group: Some("small".into()),
        usage: Some(Tokens {
            input: 900,
            output: 100,
            ..Tokens::default()
        }),
        span: Some((0, 1_000)),
        fitted: true,
        allowance: Some(2_500_000),
        remaining: Some(2_499_000),
        verdict: "free".into(),
        certainty: Some("final".into()),
        reason: "within-allowance".into(),
        ours: "free".into(),
        cost: Some(0),
        saved: Some(425_000_000),
        ..SettledCall::default()
    }
}

/// The same, settled.
pub(crate) fn settled(id: &str) -> Entry<'_> {
    Entry::Settled(call(id))
}

/// A call whose usage never came.
pub(crate) fn unknown(id: &str, at_most: Option<u64>) -> Entry<'_> {
    Entry::Settled(SettledCall {
        usage: None,
        span: None,
        verdict: "unknown".into(),
        slack: Some(Slack {
            source: "unknown-calls".into(),
            at_most,
            any_group: false,
        }),
        ..call(id)
    })
}

/// What is under way.
pub(crate) fn open_calls(version: u32, at_most: Option<u64>) -> Entry<'static> {
    Entry::Open(OpenCalls {
        organization: "acme".into(),
        group: "small".into(),
        day: DAY,
        version,
        at_most,
    })
}
