//! What an operator declared about an organization. Must not know where it was declared, nor any total.

use crate::model_group::UsageTier;

/// Which of an organization's projects share their traffic with `OpenAI`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SharedProjects {
    /// Every project.
    All,
    /// Only the projects with these ids (`proj_...`, exact).
    Only(Vec<Box<str>>),
}

/// How much of an organization's traffic passes here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coverage {
    /// All of it.
    All,
    /// A part; the rest takes tokens that are not seen here.
    Part,
}

/// What is declared about one organization; `None` = not declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Terms {
    /// `OpenAI`'s usage tier, on which the allowances depend. Not declared: taken as 1.
    pub usage_tier: Option<UsageTier>,
    /// Whether the organization is enrolled in the offer. Not declared: free verdicts assume it.
    pub enrolled: Option<bool>,
    /// Which projects share their traffic. Not declared: all.
    pub shared_projects: Option<SharedProjects>,
    /// Whether all traffic passes here. Not declared: free verdicts assume it.
    pub coverage: Option<Coverage>,
}

/// An organization named in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeclaredOrganization {
    /// Its name as `OpenAI`'s answers give it (`openai-organization`, a slug).
    pub name: Box<str>,
    /// Its other names, such as its `org-...` id.
    pub aliases: Vec<Box<str>>,
    /// What is declared about it.
    pub terms: Terms,
}
