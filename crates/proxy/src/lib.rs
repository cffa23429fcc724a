//! One call from client to upstream and back: read, forwarded, settled, tagged. It must not know where the
//! settings come from, how a socket is opened, or what a token costs; `call` tells the story.

mod asked;
mod attribute;
mod bodies;
mod call;
mod call_id;
mod call_log;
mod clock;
mod figures;
mod heads;
mod keyless;
mod keys;
mod look_up;
mod outage;
mod passing;
mod pasted;
mod proxy;
mod restore;
mod settings;
mod settling;
mod standings;
mod tags;
mod tunnel;

pub use bodies::answer_body::{AnswerBody, Broken};
pub use call_id::{CallId, NoRandomness};
pub use clock::{Clock, wrong_clock};
pub use figures::{BUCKET_MICROSECONDS, Count, Figures, Histogram};
pub use heads::refusal::unserved;
pub use proxy::Proxy;
pub use settings::{ClientGone, Settings};
pub use share::SharingNow;
pub use standings::{
    GroupStanding, NotStated, OrganizationStanding, StatedTotal, payer_says_billed, standings_of,
};
pub use tags::CALL_HEADER;
