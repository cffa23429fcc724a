//! Which organizations there are: those that called once, and those that are declared. It must not know how they stand.

use meter::Organizations;

use super::{Desk, MOST_NAMES, NoAnswer};

impl Desk {
    /// That there is such an organization, if one is named.
    ///
    /// # Errors
    /// [`NoAnswer::Asked`]: a name that was never seen is a slip, and no sums of it are zero.
    pub(crate) fn known(&self, named: Option<&str>) -> Result<(), NoAnswer> {
        // What stands for the calls that nobody named is always there.
        let is_there = |name: &str| name == Organizations::UNKNOWN || self.is_declared(name);
        let Some(name) = named.filter(|name| !is_there(name)) else {
            return Ok(());
        };
        let mut all = Vec::new();
        if let Some(reader) = self.reader()? {
            if !reader.days(i32::MIN, i32::MAX, Some(name))?.is_empty() {
                return Ok(());
            }
            all = reader.organizations()?;
        }
        // The running proxy may know what is not in the tables yet.
        for one in self.standings()?.organizations {
            if one.organization == name {
                return Ok(());
            }
            if !all.contains(&one.organization) {
                all.push(one.organization);
            }
        }
        all.truncate(MOST_NAMES);
        let help = if all.is_empty() {
            "none was seen yet, its first call makes it known; or declare it under [[organizations]]".to_owned()
        } else {
            format!("known are {}", all.join(", "))
        };
        Err(NoAnswer::Asked(format!(
            "no organization {name}. help: {help}"
        )))
    }

    fn is_declared(&self, name: &str) -> bool {
        let mut declared = self.loaded.config.organizations.iter();
        declared.any(|one| *one.name == *name || one.aliases.iter().any(|alias| **alias == *name))
    }
}
