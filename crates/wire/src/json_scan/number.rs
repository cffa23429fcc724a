//! The grammar of JSON's numbers, byte by byte. It must not know their values.

/// How far a number has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Number {
    Minus,
    /// A leading zero: no digit may follow.
    Zero,
    Integer,
    Point,
    Fraction,
    Exponent,
    ExponentSign,
    ExponentDigits,
}

impl Number {
    /// The state after a number's first byte; `None` if no number begins so.
    pub(super) fn begin(byte: u8) -> Option<Self> {
        match byte {
            b'-' => Some(Self::Minus),
            b'0' => Some(Self::Zero),
            b'1'..=b'9' => Some(Self::Integer),
            _ => None,
        }
    }

    /// Runs on in a number from `at`: to the place of the byte that is no part of it, or to the end
    /// of the bytes.
    #[inline]
    pub(super) fn run(mut self, bytes: &[u8], mut at: usize) -> (usize, Self) {
        loop {
            // Most numbers are digits and little else.
            if matches!(self, Self::Integer | Self::Fraction) {
                while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                    at += 1;
                }
            }
            let Some(next) = bytes.get(at).and_then(|&byte| self.next(byte)) else {
                return (at, self);
            };
            self = next;
            at += 1;
        }
    }

    /// The state after one more byte; `None` if the number does not go on with it.
    fn next(self, byte: u8) -> Option<Self> {
        match (byte, self) {
            (b'0', Self::Minus) => Some(Self::Zero),
            (b'0'..=b'9', Self::Minus | Self::Integer) => Some(Self::Integer),
            (b'0'..=b'9', Self::Point | Self::Fraction) => Some(Self::Fraction),
            (b'0'..=b'9', Self::Exponent | Self::ExponentSign | Self::ExponentDigits) => {
                Some(Self::ExponentDigits)
            }
            (b'.', Self::Zero | Self::Integer) => Some(Self::Point),
            (b'e' | b'E', Self::Zero | Self::Integer | Self::Fraction) => Some(Self::Exponent),
            (b'+' | b'-', Self::Exponent) => Some(Self::ExponentSign),
            _ => None,
        }
    }

    /// Whether a number may end here.
    pub(super) fn may_end(self) -> bool {
        matches!(
            self,
            Self::Zero | Self::Integer | Self::Fraction | Self::ExponentDigits
        )
    }
}
