//! The files that people write: what the program makes of them, and what their TOML says by itself. It must not know any
//! key.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::LazyLock;

use meter::{Offer, UsageTier};
use toml::{Table, Value};

use crate::config::load::{config_of, offer_of};
use crate::config::{Environment, Flags, Mistakes, Sources};

/// How mistakes name the file.
const NAME: &str = "file.toml";

/// Sources that say nothing.
static NOTHING: LazyLock<Sources> = LazyLock::new(|| Sources {
    flags: Flags::default(),
    environment: Environment::default(),
    default_file: PathBuf::new(),
});

/// The settings of a configuration file, all of them in words, or what people are told of its mistakes.
pub fn settings(text: &str) -> Result<String, String> {
    let (config, _, mistakes) = config_of(Some((NAME, text)), &NOTHING, None, Vec::new());
    match Mistakes::of(mistakes) {
        None => Ok(format!("{config:?}")),
        Some(mistakes) => Err(mistakes.render(false)),
    }
}

/// The offer of an offer file, or what people are told of its mistakes.
pub fn offered(text: &str) -> Result<Offer, String> {
    let mut mistakes = Vec::new();
    let offer = offer_of(NAME, text, &mut mistakes);
    offer.ok_or_else(|| {
        Mistakes::of(mistakes)
            .expect("why there is none")
            .render(false)
    })
}

/// The TOML of a text, read by the strict reader.
pub fn table(text: &str) -> Option<Table> {
    text.parse().ok()
}

/// Holds what people are told of a text against it: each mistake in a place that is there, and as many as are counted;
/// and nothing that a terminal would obey.
pub fn placed(mistakes: &str, text: &str) {
    let lines: Vec<&str> = text.split('\n').collect();
    let is_there = |place: &str| {
        let mut numbers = place
            .rsplit(':')
            .map_while(|number| number.parse::<usize>().ok());
        let (Some(column), Some(line)) = (numbers.next(), numbers.next()) else {
            return true;
        };
        lines
            .get(line - 1)
            .is_some_and(|line| column <= line.chars().count() + 1)
    };
    let places: Vec<&str> = mistakes
        .lines()
        .filter_map(|line| line.strip_prefix(" --> "))
        .collect();
    let told = mistakes
        .lines()
        .filter(|line| line.starts_with("error: "))
        .count();
    let counted = format!("{told} mistake{}, ", if told == 1 { "" } else { "s" });
    assert!(
        told == places.len() && mistakes.contains(&counted),
        "{mistakes}"
    );
    assert!(places.into_iter().all(is_there), "{mistakes}");
    assert!(
        !mistakes.contains(|one: char| one.is_control() && one != '\n'),
        "{mistakes:?}"
    );
}

/// The models of an offer by their groups, and what the groups allow.
type Listed = BTreeMap<String, (Vec<u64>, BTreeMap<String, Vec<String>>)>;

/// What an offer lists.
pub fn listed(offer: &Offer) -> Listed {
    let tiers = [1, 2, 3, 4, 5].map(|tier| UsageTier::new(tier).expect("a usage tier"));
    let groups = offer.groups().map(|(id, group)| {
        let allowances = tiers.map(|tier| offer.allowance(id, tier));
        let models = offer
            .models()
            .iter()
            .filter(|model| *model.group == *group.name);
        let models = models.map(|model| {
            assert_eq!(offer.listing(&model.id).group(), Some(id), "{}", model.id);
            let aliases = model.aliases.iter().map(ToString::to_string);
            (model.id.to_string(), aliases.collect())
        });
        (
            group.name.to_string(),
            (allowances.to_vec(), models.collect()),
        )
    });
    groups.collect()
}

/// What its TOML does.
pub fn listed_by(offer: &Table) -> Listed {
    let listed = |name: &str| offer.get("models")?.get(name)?.as_table();
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(|one| Some(one.as_str()?.to_owned()))
            .collect()
    };
    let groups = offer["groups"].as_table().into_iter().flatten();
    let groups = groups.map(|(name, allowances)| {
        let allowances = allowances.as_array().into_iter().flatten();
        let allowances = allowances.filter_map(|one| u64::try_from(one.as_integer()?).ok());
        let models = listed(name).into_iter().flatten();
        let models = models.map(|(id, model)| {
            (
                id.clone(),
                model.get("aliases").map(texts).unwrap_or_default(),
            )
        });
        (name.clone(), (allowances.collect(), models.collect()))
    });
    groups.collect()
}
