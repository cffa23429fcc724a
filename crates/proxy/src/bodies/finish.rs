//! A stream whose client left, read to its end all the same, so that the call is settled from its usage. Knows nothing
//! of why that is wanted.

use std::pin::Pin;
use std::time::Duration;

use http_body::Body;
use net::UpstreamBody;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use wire::End;

use crate::settling::call_under_way::CallUnderWay;

/// Streams read on at once; one beyond is left as its client left it.
pub(crate) const MOST_FINISHING: usize = 256;
/// Bytes that are read on of one stream.
const MOST_BYTES: u64 = 64 << 20;
/// How long one stream is read on.
const LONGEST: Duration = Duration::from_mins(10);

/// A call without its client.
pub(crate) struct Finishing {
    pub(crate) call: Box<CallUnderWay>,
    pub(crate) upstream: UpstreamBody,
    /// Its place among those that are read on.
    pub(crate) place: OwnedSemaphorePermit,
}

impl Finishing {
    /// Reads on in a task of its own.
    pub(crate) fn begin(self) {
        // Without a runtime nothing is served any more.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        self.call.client_left();
        runtime.spawn(async move {
            let Finishing {
                mut call,
                mut upstream,
                place,
            } = self;
            let peer = call.peer();
            let reading = timeout(LONGEST, read_on(&mut call, &mut upstream));
            tokio::select! {
                // It counts as open: a stop waits for it, and cuts it.
                () = peer.cut() => {}
                _ = reading => {}
            }
            // Whatever has not come to its end by now was left; a call is settled once.
            call.settle(End::ClientGone);
            std::future::poll_fn(|context| call.poll_committed(context)).await;
            drop(place);
        });
    }
}

async fn read_on(call: &mut CallUnderWay, upstream: &mut UpstreamBody) {
    let mut bytes = 0;
    while bytes <= MOST_BYTES && !call.has_ended() {
        let next = std::future::poll_fn(|context| Pin::new(&mut *upstream).poll_frame(context));
        match next.await {
            Some(Ok(frame)) => {
                if let Some(data) = frame.data_ref() {
                    bytes += data.len() as u64;
                    call.read(data);
                }
            }
            Some(Err(_)) => {
                call.settle(End::UpstreamFailed);
                return;
            }
            None => {
                call.settle(End::Complete);
                return;
            }
        }
    }
    if call.has_ended() {
        call.settle(End::Complete);
    }
}
