//! Bodies on their way through: held, read, edited, or only passed on. It must not know verdicts.

pub(crate) mod answer_body;
pub(crate) mod comment;
pub(crate) mod edit;
pub(crate) mod finish;
pub(crate) mod frames;
pub(crate) mod hold;
pub(crate) mod memory;
pub(crate) mod metered_body;
pub(crate) mod request_body;
pub(crate) mod sighted_body;
pub(crate) mod whole_body;
