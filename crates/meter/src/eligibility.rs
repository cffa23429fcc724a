//! Whether a call can be free at all: model, project, organization and service tier against the rules. Must not
//! know totals or tokens.

use crate::assumptions::{Assumption, Assumptions};
use crate::call::FinishedCall;
use crate::listing::Listing;
use crate::model_group::GroupId;
use crate::offer::Known;
use crate::organization::Organization;
use crate::reason::Reason;
use crate::rules::Rules;
use crate::slack::SlackSource;
use crate::terms::{Coverage, SharedProjects, Terms};

/// The service tier of calls that `OpenAI` serves free: its own word that it pays.
pub(crate) const INCENTIVIZED: &str = "incentivized-tier";

/// What of a call decides whether it can be free.
#[derive(Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) organization: &'a Organization,
    pub(crate) project: Option<&'a str>,
    pub(crate) model: Option<&'a str>,
    pub(crate) service_tier: Option<&'a str>,
    /// The model is a request's word, not an answer's: an alias stands for its snapshot.
    pub(crate) model_is_asked: bool,
    pub(crate) at: i64,
}

impl<'a> Question<'a> {
    /// The question of a call that ended with usage.
    pub(crate) fn of(call: &FinishedCall<'a>) -> Self {
        Self {
            organization: call.organization,
            project: call.project,
            model: call.model,
            service_tier: call.service_tier,
            model_is_asked: call.model_is_asked,
            at: call.at,
        }
    }
}

/// Whether a call can be free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Eligibility {
    /// It takes its tokens from this group's allowance; a free verdict assumes this.
    Eligible {
        group: GroupId,
        if_free: Assumptions,
    },
    /// It is billed.
    Ineligible(Ineligible),
}

/// Why a call cannot be free, and what may be wrong about that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ineligible {
    pub(crate) reason: Reason,
    /// The group of its model: listed, or of a listed family.
    pub(crate) group: Option<GroupId>,
    /// What the billed verdict assumes; nothing where it is sure.
    pub(crate) assumes: Assumptions,
    /// Whose slack its tokens are, should it have been free after all.
    pub(crate) source: SlackSource,
    /// The list knows the model.
    pub(crate) listed: bool,
}

impl Eligibility {
    pub(crate) fn group(self) -> Option<GroupId> {
        match self {
            Self::Eligible { group, .. } => Some(group),
            Self::Ineligible(ineligible) => ineligible.group,
        }
    }

    /// Judges a call by the terms of its organization. `known` is what the offer knows of its model.
    ///
    /// What is sure comes first: a call that is billed for a sure reason needs no assumption.
    pub(crate) fn of(
        question: &Question<'_>,
        rules: &Rules,
        terms: &Terms,
        known: Option<&Known>,
    ) -> Self {
        let listed = match listed(question, rules, known) {
            Ok(group) => group,
            Err(unlisted) => return Self::Ineligible(unlisted),
        };
        let ineligible = |reason, source, sure| {
            let source: SlackSource = source;
            let assumes = if sure {
                Assumptions::NONE
            } else {
                source.assumption().into()
            };
            Self::Ineligible(Ineligible {
                reason,
                group: Some(listed),
                assumes,
                source,
                listed: true,
            })
        };
        if terms.enrolled == Some(false) {
            let sure = !question.organization.is_unknown();
            return ineligible(
                Reason::OrganizationNotEnrolled,
                SlackSource::Enrolment,
                sure,
            );
        }
        if let (Some(SharedProjects::Only(shared)), Some(project)) =
            (&terms.shared_projects, question.project)
            && shared.iter().all(|one| &**one != project)
        {
            return ineligible(Reason::ProjectNotShared, SlackSource::Sharing, true);
        }
        match question.service_tier {
            // `auto` names no other tier than the default.
            None | Some("default" | "auto" | INCENTIVIZED) => {}
            Some("batch") => return ineligible(Reason::Batch, SlackSource::ServiceTier, false),
            Some(_) => return ineligible(Reason::ServiceTier, SlackSource::ServiceTier, false),
        }
        Self::Eligible {
            group: listed,
            if_free: if_free(question, terms),
        }
    }
}

/// The group the model is listed in, or why it is in none.
fn listed(
    question: &Question<'_>,
    rules: &Rules,
    known: Option<&Known>,
) -> Result<GroupId, Ineligible> {
    let unlisted = |reason, group, sure| Ineligible {
        reason,
        group,
        assumes: if sure {
            Assumptions::NONE
        } else {
            Assumption::ModelList.into()
        },
        source: SlackSource::ModelList,
        listed: false,
    };
    let Some(model) = question.model else {
        return Err(unlisted(Reason::ModelNotListed, None, false));
    };
    let (listing, asked) = if let Some(known) = known {
        (known.listing, known.asked)
    } else {
        let listing = rules.offer().classify(model);
        (listing, listing)
    };
    match (if question.model_is_asked { asked } else { listing }, asked) {
        (Listing::Listed(group), _) => Ok(group),
        (Listing::FineTuned, _) => Err(unlisted(Reason::FineTunedModel, None, true)),
        (Listing::NewerThanList(group), _)
        // An answer that names itself by an alias is not listed, but its snapshot is.
        | (Listing::NotListed, Listing::Listed(group)) => {
            Err(unlisted(Reason::ModelNotListed, Some(group), false))
        }
        (Listing::NotListed, _) => Err(unlisted(Reason::ModelNotListed, None, true)),
    }
}

/// What a free verdict takes for granted about the organization.
fn if_free(question: &Question<'_>, terms: &Terms) -> Assumptions {
    let organization = question.organization;
    let unknown = organization.is_unknown();
    let declared = terms.enrolled.is_some() && !unknown;
    let only_some = matches!(terms.shared_projects, Some(SharedProjects::Only(_)));
    let mut assumes = Assumptions::NONE;
    assumes.insert_if(
        !declared && !organization.is_shown_enrolled(question.at),
        Assumption::Enrolment,
    );
    assumes.insert_if(only_some && question.project.is_none(), Assumption::Sharing);
    assumes.insert_if(
        unknown || terms.coverage != Some(Coverage::All),
        Assumption::OutsideUsage,
    );
    assumes
}
