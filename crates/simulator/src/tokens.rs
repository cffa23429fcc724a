//! How many tokens a call takes: a simple, deterministic count of bytes. Knows nothing of requests.

/// Tokens of one call, as OpenAI would bill them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Usage {
    pub(crate) input: u64,
    pub(crate) output: u64,
    /// Among the input tokens.
    pub(crate) cached: u64,
    /// Among the output tokens.
    pub(crate) reasoning: u64,
}

impl Usage {
    pub(crate) fn total(&self) -> u64 {
        self.input.saturating_add(self.output)
    }

    /// What has been generated when `sent` of `all` pieces of the answer are out.
    pub(crate) fn part(mut self, sent: usize, all: usize) -> Self {
        let share = |tokens: u64| {
            let part = u128::from(tokens) * sent as u128 / all.max(1) as u128;
            u64::try_from(part).unwrap_or(tokens).min(tokens)
        };
        self.output = share(self.output);
        self.reasoning = share(self.reasoning);
        self
    }
}

/// Bytes of text that make one token.
pub(crate) const BYTES_PER_TOKEN: u64 = 4;

/// Tokens of a text: one for each four bytes begun.
pub(crate) fn of_text(text: &str) -> u64 {
    (text.len() as u64).div_ceil(BYTES_PER_TOKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bytes_begun_are_one_token() {
        assert_eq!([of_text(""), of_text("a"), of_text("abcde")], [0, 1, 2]);
    }

    #[test]
    fn a_part_is_never_more_than_the_whole() {
        let whole = Usage {
            input: 10,
            output: u64::MAX,
            cached: 0,
            reasoning: 8,
        };
        assert_eq!(whole.part(3, 3), whole);
        assert_eq!(
            (whole.part(0, 3).output, whole.part(1, 4).reasoning),
            (0, 2)
        );
    }
}
