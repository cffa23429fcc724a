//! How programs read a status: a row for each group, or one object. It must not know where the figures come from.

use meter::Day;
use serde_json::{Value, json};

use super::{OrganizationNow, Status};
use crate::cli::desk::Source;
use crate::cli::sums;
use crate::cli::table::{Cell, Column, Kind, Table};

/// The version of the JSON object's shape.
const SCHEMA: u32 = 1;

const GROUPS: [Column; 14] = {
    const fn field(field: &'static str) -> Column {
        Column {
            name: "",
            field,
            kind: Kind::Word,
            goes: None,
        }
    }
    [
        field("organization"),
        field("day"),
        field("group"),
        field("allowance_tokens"),
        field("taken_tokens"),
        field("remaining_tokens"),
        field("largest_free_call_tokens"),
        field("at_most"),
        sums::CALLS,
        sums::FREE_TOKENS,
        sums::BILLED_TOKENS,
        sums::UNKNOWN_CALLS,
        sums::COST,
        sums::SAVED,
    ]
};

/// For programs: the names of the columns alone.
pub(super) fn names() -> String {
    Table::of(&GROUPS).as_rows(true)
}

/// For programs: one row a group.
pub(super) fn as_rows(status: &Status, header: bool) -> String {
    let mut table = Table::of(&GROUPS);
    for organization in &status.organizations {
        for group in &organization.standing.groups {
            let sums = organization.sums_of(&group.group);
            let mut cells = vec![
                Cell::same(&organization.standing.organization),
                Cell::same(status.day.to_string()),
                Cell::same(&group.group),
                Cell::number(group.allowance_tokens),
                Cell::number(group.taken_tokens),
                Cell::number(group.remaining_tokens),
                Cell::number(group.largest_free_call_tokens),
                Cell::same(group.at_most.to_string()),
            ];
            cells.extend(sums.cells());
            table.push(cells);
        }
    }
    table.as_rows(header)
}

/// For programs: everything, as one object.
pub(super) fn as_object(status: &Status) -> Value {
    let as_of = match status.source {
        Source::Running => Some(status.now * 1000),
        Source::Stopped { as_of } => as_of,
    };
    let organizations: Vec<Value> = status
        .organizations
        .iter()
        .map(organization_object)
        .collect();
    let mut object = json!({
        "schema": SCHEMA,
        "running": status.source == Source::Running,
        "as_of": as_of.map(admin::instant),
        "day": status.day.to_string(),
        "reset": format!("{}T00:00:00Z", Day::at(status.day.end())),
        "reset_seconds": (status.day.end() - status.now).max(0),
        "organizations": organizations,
        "further_organizations": status.further,
        "notices": status.notices,
    });
    if let (Value::Object(members), Some(sharing)) = (&mut object, &status.sharing) {
        members.insert("sharing".to_owned(), json!(sharing));
    }
    object
}

fn organization_object(organization: &OrganizationNow) -> Value {
    let standing = &organization.standing;
    let groups: Vec<Value> = standing
        .groups
        .iter()
        .map(|group| {
            let crossing = organization.crossing(&group.group).map(|crossing| {
                json!({
                    "call": crossing.call,
                    "at": admin::instant(crossing.at),
                    "tokens": crossing.tokens,
                    "before_tokens": crossing.before,
                })
            });
            // A struct of numbers and texts cannot fail to be a value.
            let mut object = serde_json::to_value(group).unwrap_or_default();
            if let Value::Object(members) = &mut object {
                members.insert("crossing_call".to_owned(), json!(crossing));
            }
            object
        })
        .collect();
    let today: Vec<Value> = organization
        .sums()
        .map(|(name, sums)| {
            let mut members = sums.as_members();
            let group = (!name.is_empty()).then_some(name);
            members.insert("group".to_owned(), json!(group));
            Value::Object(members)
        })
        .collect();
    json!({
        "organization": standing.organization,
        "usage_tier": standing.usage_tier,
        "usage_tier_declared": standing.usage_tier_declared,
        "groups": groups,
        "today": today,
        "total": organization.total().as_members(),
    })
}
