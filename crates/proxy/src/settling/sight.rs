//! What of a whole answer goes from the replica that saw it to the one that its call began on. Must not know how it
//! travels.

use meter::{Organization, Payer, Usage};
use serde_json::{Value, json};
use wire::{Reported, Seen, Status};

/// What another replica told.
#[derive(Debug, PartialEq)]
pub(crate) struct Told {
    /// The organization that the answer was shown to, where it is known.
    pub(crate) organization: Option<Box<str>>,
    pub(crate) reported: Reported,
}

/// A whole answer, written down, and whom it was shown to.
pub(crate) fn text(organization: &Organization, reported: &Reported) -> String {
    let Reported { usage, seen } = reported;
    let organization = (!organization.is_unknown()).then(|| organization.name());
    json!({
        "organization": organization,
        "response_id": seen.response_id,
        "model": seen.model,
        "service_tier": seen.service_tier,
        "payer": seen.payer.map(Payer::as_str),
        "hosted_tool": seen.hosted_tool,
        "completed_at": seen.completed_at,
        "usage": [
            usage.input, usage.cached_input, usage.cache_write, usage.output, usage.reasoning, usage.audio,
        ],
    })
    .to_string()
}

/// The same, read again; `None` for a text that nobody of ours wrote.
pub(crate) fn read(text: &str) -> Option<Told> {
    let value: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| value.get(name)?.as_str().map(Into::into);
    let numbers: Vec<u64> = value
        .get("usage")?
        .as_array()?
        .iter()
        .filter_map(Value::as_u64)
        .filter(|tokens| *tokens <= Usage::MAX)
        .collect();
    let [input, cached_input, cache_write, output, reasoning, audio] = numbers[..] else {
        return None;
    };
    let payer: Option<Box<str>> = word("payer");
    let reported = Reported {
        usage: Usage {
            input,
            cached_input,
            cache_write,
            output,
            reasoning,
            audio,
        },
        seen: Seen {
            response_id: Some(word("response_id")?),
            model: word("model"),
            service_tier: word("service_tier"),
            payer: payer.as_deref().and_then(|payer| {
                [Payer::OpenAi, Payer::Developer]
                    .into_iter()
                    .find(|one| one.as_str() == payer)
            }),
            hosted_tool: value.get("hosted_tool")?.as_bool()?,
            completed_at: value.get("completed_at").and_then(Value::as_i64),
            status: Some(Status::Completed),
            ..Seen::default()
        },
    };
    Some(Told {
        organization: word("organization"),
        reported,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use meter::Meter;

    #[test]
    fn what_is_written_is_read_as_it_was() {
        let reported = Reported {
            usage: Usage {
                input: 5,
                cached_input: 4,
                cache_write: 3,
                output: 2,
                reasoning: 1,
                audio: 6,
            },
            seen: Seen {
                response_id: Some("resp_1".into()),
                model: Some("gpt-5-mini".into()),
                payer: Some(Payer::OpenAi),
                hosted_tool: true,
                completed_at: Some(17),
                status: Some(Status::Completed),
                ..Seen::default()
            },
        };
        let meter = Meter::new(0);
        for (organization, named) in [
            (meter.organizations().unknown(), None),
            (
                meter.organizations().named("acme").unwrap(),
                Some("acme".into()),
            ),
        ] {
            let told = read(&text(&organization, &reported)).unwrap();
            assert_eq!((told.organization, &told.reported), (named, &reported));
        }
        for odd in [
            "",
            "{}",
            "[]",
            r#"{"usage":[1,2,3,4],"response_id":"r","hosted_tool":false}"#,
        ] {
            assert_eq!(read(odd), None, "{odd}");
        }
    }
}
