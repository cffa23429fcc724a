//! What undoing a coding may cost of a processor. It must not know which coding it is.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::DecodeError;

/// What decoding one answer may take of a processor before its length is looked at.
const FREE_TIME: Duration = Duration::from_millis(20);
/// The same for a request: whoever sends many of them is to work for it, too.
const REQUEST_FREE_TIME: Duration = Duration::from_millis(2);
/// The same for each MiB, encoded and decoded: several times what any decoder takes for an honest one.
const TIME_PER_MIB: Duration = Duration::from_millis(40);

/// The work on one body. A decoder can be kept busy without getting or giving much (a thousand code tables for one byte
/// of brotli, empty blocks of deflate), so no count of bytes bounds it.
#[derive(Debug)]
pub struct Effort {
    free: Duration,
    spent: Duration,
    bytes: u64,
}

impl Effort {
    /// None yet, on an answer.
    #[must_use]
    pub fn on_answer() -> Self {
        Self::with(FREE_TIME)
    }

    /// None yet, on a request.
    pub(crate) fn on_request() -> Self {
        Self::with(REQUEST_FREE_TIME)
    }

    fn with(free: Duration) -> Self {
        Self {
            free,
            spent: Duration::ZERO,
            bytes: 0,
        }
    }

    /// Lets decoders do some of the work, which gives how many bytes they took and gave: no more than a few KiB, since
    /// they are not interrupted.
    ///
    /// # Errors
    /// [`DecodeError`] of the decoder; [`DecodeError::OverBudget`] also where it worked longer than its bytes are worth.
    pub fn spend(
        &mut self,
        work: impl FnOnce() -> Result<usize, DecodeError>,
    ) -> Result<(), DecodeError> {
        let began = worked();
        self.bytes += work()? as u64;
        self.spent += worked().saturating_sub(began);
        let by_bytes = (TIME_PER_MIB.as_nanos() * u128::from(self.bytes)) >> 20;
        if self.spent.as_nanos() > self.free.as_nanos() + by_bytes {
            return Err(DecodeError::OverBudget);
        }
        Ok(())
    }
}

/// What this thread has had of a processor: whoever waits for one spends nothing.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    // It counts up from 0.
    Duration::new(
        time.tv_sec.try_into().unwrap_or_default(),
        time.tv_nsec.try_into().unwrap_or_default(),
    )
}
