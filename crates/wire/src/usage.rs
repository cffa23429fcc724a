//! One `usage` object, member by member, until it is believed or not. It must not know where the
//! object stood, nor who pays.

use meter::Usage;

use crate::Metered;
use crate::json_scan::Found;
use crate::json_text::{integer, plain};

/// A member of a `usage` object, whatever OpenAI calls it at the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UsageTag {
    /// The object itself, after its members.
    Object,
    /// `type`: `tokens` or `duration`.
    Kind,
    Input,
    Output,
    Total,
    Cached,
    CacheWrite,
    Reasoning,
    AudioInput,
    AudioOutput,
}

/// What a `usage` without a count of output says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Output {
    /// Nothing: it is not whole.
    Needed,
    /// That nothing was generated, where its total says the same: completions that generated nothing report
    /// `prompt_tokens` and `total_tokens` alone.
    NoneByTotal,
    /// That there is none: embeddings have no output.
    None,
}

impl Output {
    pub(crate) fn of(endpoint: Metered) -> Self {
        match endpoint {
            Metered::Embeddings => Self::None,
            Metered::Completions => Self::NoneByTotal,
            _ => Self::Needed,
        }
    }
}

/// What was read of one `usage`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum UsageFound {
    /// There was none, or it was null.
    #[default]
    None,
    /// There was one that is not believed.
    Odd,
    Believed(Usage),
}

/// The members of a `usage` object read so far.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct UsageFields {
    is_there: bool,
    /// Something that no honest usage has: a member twice, a count that is no count.
    is_odd: bool,
    /// Its `type` is another than `tokens`: a duration.
    is_other_kind: bool,
    input: Option<u64>,
    output: Option<u64>,
    total: Option<u64>,
    details: [Option<u64>; 5],
}

impl UsageFields {
    /// Takes a member, or the object, as the scanner found it.
    pub(crate) fn take<T>(&mut self, tag: UsageTag, found: &Found<'_, T>) {
        self.is_odd |= found.again;
        let [cached, cache_write, reasoning, audio_input, audio_output] = &mut self.details;
        let (slot, is_detail) = match tag {
            UsageTag::Object => {
                self.is_odd |= self.is_there || !(found.is_null() || found.first == b'{');
                self.is_there |= !found.is_null();
                return;
            }
            UsageTag::Kind => {
                self.is_other_kind |= found.whole().and_then(plain) != Some("tokens");
                return;
            }
            UsageTag::Input => (&mut self.input, false),
            UsageTag::Output => (&mut self.output, false),
            UsageTag::Total => (&mut self.total, false),
            UsageTag::Cached => (cached, true),
            UsageTag::CacheWrite => (cache_write, true),
            UsageTag::Reasoning => (reasoning, true),
            UsageTag::AudioInput => (audio_input, true),
            UsageTag::AudioOutput => (audio_output, true),
        };
        let before = *slot;
        *slot = found
            .whole()
            .and_then(integer)
            .filter(|&count| count <= Usage::MAX);
        // Under both of its spellings a count may stand twice, but not with two values.
        self.is_odd |= before.is_some() && before != *slot;
        let may_be_none = is_detail || (tag == UsageTag::Total && found.is_null());
        self.is_odd |= slot.is_none() && !may_be_none;
    }

    /// What the fields amount to.
    pub(crate) fn found(&self, output: Output) -> UsageFound {
        if self.is_odd {
            UsageFound::Odd
        } else if !self.is_there {
            UsageFound::None
        } else {
            self.believed(output)
                .map_or(UsageFound::Odd, UsageFound::Believed)
        }
    }

    fn believed(&self, output: Output) -> Option<Usage> {
        if self.is_other_kind {
            return None;
        }
        let input = self.input?;
        let output = match (self.output, output) {
            (Some(output), _) => output,
            (None, Output::None) => 0,
            (None, Output::NoneByTotal) if self.total == Some(input) => 0,
            (None, Output::Needed | Output::NoneByTotal) => return None,
        };
        if self.total.is_some_and(|total| total != input + output) {
            return None;
        }
        // Details are parts of their totals; one that is not is no part of anything.
        let part = |detail: Option<u64>, whole| detail.filter(|&part| part <= whole).unwrap_or(0);
        let [cached, cache_write, reasoning, audio_input, audio_output] = self.details;
        Some(Usage {
            input,
            cached_input: part(cached, input),
            cache_write: part(cache_write, input),
            output,
            reasoning: part(reasoning, output),
            audio: part(audio_input, input) + part(audio_output, output),
        })
    }
}
