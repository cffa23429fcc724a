//! Threads on which questions are worked out that may wait for a disk, or have much to say: few, so that whoever asks much
//! takes none from others, least of all from calls. Must not know what is asked.

use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// Questions that are worked out at once. The runtime's threads for this are a few hundred, and names of upstream are looked
/// up on them, too.
const MOST_READINGS: usize = 3;
/// Of those, lists of calls, which may have to look at every call: the others have the rest for themselves.
const MOST_LISTINGS: usize = 2;

/// How long a question may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// As good as no time, however long the ledger is.
    Short,
    /// In the worst case as long as it takes to look at every call.
    Long,
}

/// The work on a question failed, which is a fault of ours.
#[derive(Debug)]
pub(crate) struct Failed;

/// Who may work on a question. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Readings {
    all: Arc<Semaphore>,
    listings: Arc<Semaphore>,
}

impl Readings {
    pub(crate) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(MOST_READINGS)),
            listings: Arc::new(Semaphore::new(MOST_LISTINGS)),
        }
    }

    /// Does this on a thread that may wait, in its turn. Whoever is dropped before has left the queue; what has begun is
    /// done to its end and keeps its place until then.
    pub(crate) async fn turn<T: Send + 'static>(
        &self,
        length: Length,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Failed> {
        let listing = match length {
            Length::Short => None,
            Length::Long => {
                let place = Arc::clone(&self.listings).acquire_owned().await;
                Some(place.map_err(|_closed| Failed)?)
            }
        };
        let place = Arc::clone(&self.all).acquire_owned().await;
        let place = place.map_err(|_closed| Failed)?;
        let working = spawn_blocking(move || {
            let done = work();
            drop((place, listing));
            done
        });
        working.await.map_err(|_panicked| Failed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn lists_leave_a_thread_to_the_others_and_who_leaves_is_not_worked_for() {
        let readings = Readings::new();
        let (release, held) = mpsc::channel::<()>();
        let held = Arc::new(std::sync::Mutex::new(held));
        let long = |number: usize| {
            let (readings, held) = (readings.clone(), Arc::clone(&held));
            tokio::spawn(async move {
                let wait = move || held.lock().unwrap().recv().map(|()| number);
                readings.turn(Length::Long, wait).await.unwrap().unwrap()
            })
        };
        let first: Vec<_> = (0..MOST_LISTINGS).map(long).collect();
        while readings.listings.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        let soon = Duration::from_millis(50);
        let (told, done) = mpsc::channel();
        let leaves = readings.turn(Length::Long, move || told.send(()));
        assert!(timeout(soon, leaves).await.is_err());
        assert_eq!(readings.turn(Length::Short, || 7).await.ok(), Some(7));
        for _ in &first {
            release.send(()).unwrap();
        }
        for one in first {
            one.await.unwrap();
        }
        let next = readings.turn(Length::Long, || 8).await;
        assert_eq!(next.ok(), Some(8));
        assert!(done.try_recv().is_err(), "it was worked out for nobody");
    }
}
