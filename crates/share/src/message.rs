//! What a replica says of one total, and what it is answered: the arguments and the reply of the script. Must not
//! know connections.

use meter::{Fit, Portion, SlackParts, Span};
use redis::{FromRedisValue, Script, Value};

use crate::key::Keys;

/// Seconds that keys are kept after they were last spoken of: the day, the next, and a clock that is wrong.
const KEPT: u64 = 3 * 86_400;
/// The greatest number that the server's script counts exactly.
const MOST: u64 = 1 << 52;

/// What a replica says.
#[derive(Clone, Debug)]
pub(crate) struct Message<'a> {
    pub(crate) keys: &'a Keys,
    pub(crate) replica: &'a str,
    /// Greater than that of every message before it.
    pub(crate) version: u64,
    /// The version answered last; 0: none.
    pub(crate) known: u64,
    /// What all its calls took before these.
    pub(crate) own: Portion,
    /// 0: not known.
    pub(crate) allowance: u64,
    /// Unix seconds.
    pub(crate) since: i64,
    /// An operator stated this total.
    pub(crate) is_stated: bool,
    /// Tokens of the calls that are to take their spans now.
    pub(crate) calls: &'a [u64],
}

/// What it is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// A newer message of this replica, of this version, came before it: nothing was done.
    Outdated(u64),
    /// Done.
    Now(Box<Reply>),
}

/// How the total stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    /// What all other replicas counted.
    pub(crate) others: Portion,
    /// How often an operator stated the total.
    pub(crate) stated: u64,
    /// Milliseconds since the store knows anything of this organization.
    pub(crate) age: u64,
    /// Unix seconds since which some replica counted.
    pub(crate) since: i64,
    /// What each call was handed, in their order.
    pub(crate) spans: Vec<(Span, Fit)>,
}

/// The script's reply is not what this version of it says.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store answered what no script of ours says")]
pub(crate) struct Odd;

pub(crate) fn script() -> Script {
    Script::new(include_str!("scripts/total.lua"))
}

pub(crate) fn presence() -> Script {
    Script::new(include_str!("scripts/presence.lua"))
}

impl Message<'_> {
    /// The script, called with this.
    pub(crate) fn invocation<'s>(&self, script: &'s Script) -> redis::ScriptInvocation<'s> {
        let Portion {
            taken,
            fitted,
            crossed,
            slack,
        } = self.own;
        let mut invocation = script.prepare_invoke();
        invocation
            .key(&self.keys.total)
            .key(&self.keys.about)
            .arg(self.replica)
            .arg(self.version)
            .arg(self.known)
            .arg(taken.min(MOST))
            .arg(fitted.min(MOST))
            .arg(crossed.min(MOST))
            .arg(written(&slack))
            .arg(self.allowance.min(MOST))
            .arg(self.since)
            .arg(u8::from(self.is_stated))
            .arg(KEPT);
        for tokens in self.calls {
            invocation.arg(*tokens);
        }
        invocation
    }

    /// Reads the reply.
    pub(crate) fn read(&self, reply: Value) -> Result<Answer, Odd> {
        let Value::Array(values) = reply else {
            return Err(Odd);
        };
        let is_outdated = values.len() == 1;
        let mut values = values.into_iter();
        let version = number(&mut values)?;
        if is_outdated {
            return Ok(Answer::Outdated(version));
        }
        let (taken, fitted) = (number(&mut values)?, number(&mut values)?);
        let (crossed, stated) = (number(&mut values)?, number(&mut values)?);
        let age = number(&mut values)?;
        let since = i64::from_redis_value(values.next().ok_or(Odd)?).map_err(|_| Odd)?;
        let slack = String::from_redis_value(values.next().ok_or(Odd)?).map_err(|_| Odd)?;
        let mut spans = Vec::with_capacity(self.calls.len());
        for tokens in self.calls {
            let before = number(&mut values)?;
            let fitted_before = number(&mut values)?;
            let fits = number(&mut values)? == 1;
            let span = Span {
                before,
                after: before.saturating_add(*tokens),
            };
            let counted = if fits { *tokens } else { 0 };
            let fit = Fit {
                fits,
                before: fitted_before,
                after: fitted_before.saturating_add(counted),
            };
            spans.push((span, fit));
        }
        Ok(Answer::Now(Box::new(Reply {
            others: Portion {
                taken,
                fitted,
                crossed,
                slack: parts(&slack),
            },
            stated,
            age,
            since,
            spans,
        })))
    }
}

/// A number of the reply; one below nothing, which only somebody else can have put there, is nothing.
fn number(values: &mut impl Iterator<Item = Value>) -> Result<u64, Odd> {
    let value = i64::from_redis_value(values.next().ok_or(Odd)?).map_err(|_| Odd)?;
    Ok(value.try_into().unwrap_or(0))
}

/// Slack as the script reads it: nothing at all, or each part's tokens and causes.
fn written(slack: &SlackParts) -> String {
    if *slack == SlackParts::default() {
        return String::new();
    }
    let numbers = slack
        .iter()
        .flat_map(|(tokens, causes)| [(*tokens).min(MOST), u64::from(*causes)]);
    let texts: Vec<String> = numbers.map(|number| number.to_string()).collect();
    texts.join(",")
}

fn parts(text: &str) -> SlackParts {
    let mut numbers = text.split(',').map(|number| number.parse().unwrap_or(0));
    let mut parts = SlackParts::default();
    for (tokens, causes) in &mut parts {
        *tokens = numbers.next().unwrap_or(0);
        *causes = u32::try_from(numbers.next().unwrap_or(0)).unwrap_or(u32::MAX);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slack_is_read_as_it_is_written() {
        let mut slack = SlackParts::default();
        assert_eq!(written(&slack), "");
        assert_eq!(parts(""), slack);
        slack[3] = (1_234, 0);
        slack[6] = (0, 2);
        assert_eq!(written(&slack), "0,0,0,0,0,0,1234,0,0,0,0,0,0,2");
        assert_eq!(parts(&written(&slack)), slack);
    }
}
