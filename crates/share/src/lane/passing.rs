//! Sights on their way between replicas. No call waits for them and they need several answers, so they go beside the
//! beats, not within them. Must not know totals.

use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use crate::sights::Sights;
use crate::store::{Store, StoreError};

/// Passes them on as often as this, until the store fails. May be dropped at any moment.
pub(super) async fn each(beat: Duration, sights: &Sights, store: &Store) -> StoreError {
    let mut beat = interval(beat);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        if let Err(error) = once(sights, store).await {
            return error;
        }
    }
}

/// Publishes what is waited for and what was seen, and receives what others saw.
pub(super) async fn once(sights: &Sights, store: &Store) -> Result<(), StoreError> {
    let unsaid = sights.take();
    store.awaits(&unsaid.awaited).await?;
    store.pass_on(&unsaid.seen).await?;
    unsaid.forget();
    let mut texts = store.sights().await?;
    // One for which there is no room here stays in the store until there is.
    let received = texts.iter().take_while(|text| sights.receive(text)).count();
    texts.truncate(received);
    store.forget_sights(&texts).await
}
