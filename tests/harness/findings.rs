//! Everything a long test found wrong, sorted by kind, so that one mistake made a thousand times does
//! not hide another made once.
//!
//! Knows texts; not what they are about.

use std::collections::BTreeMap;
use std::fmt;

/// Findings of one kind that are printed; all are counted.
const MOST_PRINTED: usize = 4;

/// What was found wrong so far.
#[derive(Debug, Default)]
pub struct Findings(Vec<Finding>);

#[derive(Debug)]
struct Finding {
    /// Where.
    place: String,
    /// What is wrong there.
    wrong: String,
}

impl Finding {
    /// The words before the first value: the same mistake has the same words.
    fn kind(&self) -> &str {
        let value = |character: char| character.is_ascii_digit() || "\"[{(".contains(character);
        self.wrong.split(value).next().unwrap_or_default()
    }
}

impl Findings {
    /// Adds what is wrong at `place`.
    pub fn add(&mut self, place: &str, wrong: Vec<String>) {
        let place = place.to_owned();
        let found = wrong.into_iter().map(|wrong| Finding {
            place: place.clone(),
            wrong,
        });
        self.0.extend(found);
    }

    /// How much was found.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds: BTreeMap<&str, Vec<&Finding>> = BTreeMap::new();
        for finding in &self.0 {
            kinds.entry(finding.kind()).or_default().push(finding);
        }
        for (kind, findings) in kinds {
            writeln!(f, "  {} x {kind}", findings.len())?;
            for Finding { place, wrong } in findings.into_iter().take(MOST_PRINTED) {
                writeln!(f, "    {place}: {wrong}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Findings;

    #[test]
    fn a_rare_kind_is_seen_among_many_of_another() {
        let mut findings = Findings::default();
        for line in 0..100 {
            findings.add("somewhere", vec![format!("status {line} is odd")]);
        }
        findings.add("line 7", vec!["tokens [3]".to_owned()]);
        let text = findings.to_string();
        assert_eq!(findings.len(), 101);
        assert_eq!(text.lines().count(), 1 + 4 + 1 + 1, "{text}");
        assert!(text.contains("    line 7: tokens [3]"), "{text}");
    }
}
