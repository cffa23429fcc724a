//! Why a verdict is what it is: a closed set, part of the public contract. Must not know how a reason is found.

/// The reason of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Free: its span ends within the day's allowance.
    WithinAllowance,
    /// Billed: the first span that ends past the allowance; the whole call is billed.
    CrossingCall,
    /// Billed: the allowance was taken before this call.
    AllowanceSpent,
    /// Billed: the model's exact id is on no list of the offer.
    ModelNotListed,
    /// Billed: fine-tuned models are not in the offer.
    FineTunedModel,
    /// Billed: the project does not share its traffic with `OpenAI`.
    ProjectNotShared,
    /// Billed: the organization is declared as not enrolled.
    OrganizationNotEnrolled,
    /// Billed: served in a service tier other than default.
    ServiceTier,
    /// Billed: served as part of a batch.
    Batch,
    /// Free: `OpenAI` itself says that it pays.
    PayerSaysFree,
    /// Billed: `OpenAI` itself says, of this call or of three before it, that the developer pays.
    PayerSaysBilled,
    /// The answer was whole and reported no usage that can be believed.
    UsageMissing,
    /// The stream reports usage only if asked, and nobody asked.
    NotAsked,
    /// The answer's body could not be read.
    UnreadableBody,
    /// The client left before usage came.
    ClientGone,
    /// Upstream broke before usage came.
    UpstreamBroke,
    /// The answer shows an earlier call again.
    Replay,
    /// This endpoint takes no tokens.
    NoUsage,
    /// `OpenAI` answered with an error.
    ErrorResponse,
}

impl Reason {
    /// Every reason, in the public contract's order.
    pub const ALL: [Self; 19] = [
        Self::WithinAllowance,
        Self::CrossingCall,
        Self::AllowanceSpent,
        Self::ModelNotListed,
        Self::FineTunedModel,
        Self::ProjectNotShared,
        Self::OrganizationNotEnrolled,
        Self::ServiceTier,
        Self::Batch,
        Self::PayerSaysFree,
        Self::PayerSaysBilled,
        Self::UsageMissing,
        Self::NotAsked,
        Self::UnreadableBody,
        Self::ClientGone,
        Self::UpstreamBroke,
        Self::Replay,
        Self::NoUsage,
        Self::ErrorResponse,
    ];

    /// The public contract's word, as in `x-tollfree-reason`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WithinAllowance => "within-allowance",
            Self::CrossingCall => "crossing-call",
            Self::AllowanceSpent => "allowance-spent",
            Self::ModelNotListed => "model-not-listed",
            Self::FineTunedModel => "fine-tuned-model",
            Self::ProjectNotShared => "project-not-shared",
            Self::OrganizationNotEnrolled => "organization-not-enrolled",
            Self::ServiceTier => "service-tier",
            Self::Batch => "batch",
            Self::PayerSaysFree => "payer-says-free",
            Self::PayerSaysBilled => "payer-says-billed",
            Self::UsageMissing => "usage-missing",
            Self::NotAsked => "not-asked",
            Self::UnreadableBody => "unreadable-body",
            Self::ClientGone => "client-gone",
            Self::UpstreamBroke => "upstream-broke",
            Self::Replay => "replay",
            Self::NoUsage => "no-usage",
            Self::ErrorResponse => "error-response",
        }
    }

    /// The reason of that word; `None` for a word that is none.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == word)
    }
}
