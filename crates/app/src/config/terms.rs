//! What the configuration declares about organizations, as plain data.
//!
//! It must not know what follows from it: the meter's rules are made from it elsewhere.

/// What is declared about an organization; `None` is not declared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    /// OpenAI's usage tier, 1 to 5: the allowances follow from it.
    pub(crate) usage_tier: Option<u8>,
    /// Whether the organization is enrolled in the offer.
    pub(crate) enrolled: Option<bool>,
    /// The projects that share inputs and outputs with OpenAI.
    pub(crate) shared_projects: Option<SharedProjects>,
    /// How much of the organization's traffic passes through this proxy.
    pub(crate) coverage: Option<Coverage>,
}

/// The projects that share inputs and outputs with OpenAI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SharedProjects {
    /// Every project.
    All,
    /// These, by id (`proj_...`).
    Only(Vec<Box<str>>),
}

/// How much of an organization's traffic passes through this proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coverage {
    /// All of it.
    All,
    /// Part of it: the rest takes tokens that are not counted here.
    Part,
}

/// One organization of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeclaredOrganization {
    /// The name OpenAI answers with (`openai-organization`), or its `org-...` id.
    pub(crate) name: Box<str>,
    /// Its other names.
    pub(crate) aliases: Vec<Box<str>>,
    /// What is declared about it.
    pub(crate) terms: Terms,
}

/// Which reading of the offer's rule gives the verdict of calls after the crossing call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AfterCrossing {
    /// The crossing call counts, so every later one is billed.
    Billed,
    /// The crossing call does not count, and a smaller call may still fit.
    FreeIfItFits,
}
