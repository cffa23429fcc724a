//! What a call took whose client left before its usage came: estimated from below where streams of its model were
//! seen before. Knows nothing of settling.

use meter::{Evidence, Reason, Rules, Usage};
use wire::{Reading, Reported, Seen};

use super::CallUnderWay;
use crate::settling::learned::Bytes;

impl CallUnderWay {
    /// The tokens of the call and where they come from, or why they are not known.
    pub(super) fn tokens(
        &self,
        reading: &Reading,
        model: Option<&str>,
        rules: &Rules,
    ) -> Result<(Usage, Evidence), Reason> {
        match reading {
            Reading::Reported(reported) => {
                self.learn(reported, model);
                Ok((reported.usage, Evidence::Reported))
            }
            Reading::Missing(missing) => model
                .filter(|_| missing.why == Reason::ClientGone)
                .and_then(|model| self.estimate(&missing.seen, model, rules))
                .ok_or(missing.why),
        }
    }

    fn bytes(&self, seen: &Seen) -> Option<Bytes> {
        let sent = self.asked.body_bytes?;
        Some(Bytes {
            sent,
            seen: seen.text_bytes,
            on_socket: self.asked.on_socket,
        })
    }

    fn learn(&self, reported: &Reported, model: Option<&str>) {
        if let Some(asked) = self.asked.model() {
            let kind = self.asked.endpoint.as_str();
            let tokens = reported.usage.tokens();
            self.shared.meter.took(kind, asked, tokens);
        }
        let bytes = self.bytes(&reported.seen);
        if let (true, Some(model), Some(bytes)) = (self.recent.is_some(), model, bytes) {
            let endpoint = self.asked.endpoint;
            self.shared
                .learned
                .learn(endpoint, model, bytes, &reported.usage);
        }
    }

    fn estimate(&self, seen: &Seen, model: &str, rules: &Rules) -> Option<(Usage, Evidence)> {
        let bytes = self.bytes(seen).filter(|bytes| bytes.seen > 0)?;
        let usage = self
            .shared
            .learned
            .estimate(self.asked.endpoint, model, bytes)?;
        let choices = self.asked.facts.as_ref().map_or(1, |facts| facts.choices);
        let most_of_model = || {
            let most = rules.offer().most_tokens(model)?;
            Some(most.saturating_mul(choices.max(1)))
        };
        let at_most = match self.asked.bound() {
            Some(bound) => Some(bound),
            None if self.asked.hosted_tool() => None,
            None => most_of_model(),
        };
        Some((usage, Evidence::Estimated { at_most }))
    }
}
