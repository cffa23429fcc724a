//! One call from client to upstream and back: read, forwarded, settled, tagged. It must not know where the
//! settings come from, how a socket is opened, or what a token costs; `call` tells the story.

mod answer;
mod asked;
mod attribute;
mod awaited;
mod body;
mod call;
mod call_id;
mod call_under_way;
mod clear_head;
mod clock;
mod edit;
mod figures;
mod first_sight;
mod forward;
mod frames;
mod hold;
mod hop_by_hop;
mod keyless;
mod keys;
mod learned;
mod lookup;
mod memory;
mod metered_body;
mod outbox;
mod passing;
mod proxy;
mod recent;
mod request_body;
mod restore;
mod row;
mod settings;
mod sighted_body;
mod standings;
mod tags;
mod tunnel;

pub use answer::unserved;
pub use body::{AnswerBody, Broken};
pub use call_id::{CallId, NoRandomness};
pub use clock::Clock;
pub use figures::{BUCKET_MICROSECONDS, Count, Figures, Histogram};
pub use proxy::{Connector, Proxy};
pub use request_body::RequestBody;
pub use settings::Settings;
pub use standings::{GroupStanding, NotStated, OrganizationStanding, StatedTotal, standings_of};
pub use tags::CALL_HEADER;
