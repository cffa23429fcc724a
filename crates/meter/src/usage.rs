//! The tokens of one call as `OpenAI` reported them, and its own word on who pays. Must not know how they were written.

/// Tokens of one call as reported. Cached input and cache writes are inside `input`, reasoning is inside `output`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Usage {
    /// All input tokens.
    pub input: u64,
    /// Input tokens read from `OpenAI`'s cache; they count in full against the allowance and cost less.
    pub cached_input: u64,
    /// Input tokens written to `OpenAI`'s cache; counted one to one (their weight is not published).
    pub cache_write: u64,
    /// All output tokens.
    pub output: u64,
    /// Output tokens the model thought with.
    pub reasoning: u64,
    /// Tokens of sound, inside input and output. They have prices of their own, which no price here is.
    pub audio: u64,
}

impl Usage {
    /// The most tokens one call is believed to have taken; a larger number is absurd.
    pub const MAX: u64 = 1 << 40;

    /// What the call takes of the allowance: input + output. Never more than [`Usage::MAX`], whatever the
    /// fields say, so that a running total cannot overflow.
    #[must_use]
    pub fn tokens(&self) -> u64 {
        self.input.saturating_add(self.output).min(Self::MAX)
    }
}

/// `OpenAI`'s own word on a call: its `billing.payer`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Payer {
    /// `OpenAI` pays: the call was free.
    OpenAi,
    /// The developer pays: the call was billed.
    Developer,
}

impl Payer {
    /// `OpenAI`'s word: `openai` or `developer`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Developer => "developer",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cached_and_reasoning_tokens_are_not_counted_twice() {
        let usage = Usage {
            input: 1_000,
            cached_input: 900,
            cache_write: 100,
            output: 50,
            reasoning: 40,
            audio: 30,
        };
        assert_eq!(usage.tokens(), 1_050);
    }

    #[test]
    fn absurd_usage_cannot_overflow_a_total() {
        let usage = Usage {
            input: u64::MAX,
            output: u64::MAX,
            ..Usage::default()
        };
        assert_eq!(usage.tokens(), Usage::MAX);
    }
}
