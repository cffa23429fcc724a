//! Which of Prometheus's two text formats a reader gets: `OpenMetrics` 1.0.0 where it asks for it, else the older 0.0.4,
//! which everything reads. Must not know what is measured.

use std::fmt::Write;

use http::HeaderMap;
use http::header::ACCEPT;

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// `OpenMetrics` 1.0.0.
    OpenMetrics,
    /// Prometheus's own, 0.0.4.
    Text,
}

impl Format {
    /// What `accept` asks for: `OpenMetrics` only where it is named, and weighs no less than plain text.
    pub(crate) fn asked(headers: &HeaderMap) -> Self {
        let lines = headers.get_all(ACCEPT).iter();
        let ranges: Vec<(&str, f32)> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(weighed)
            .collect();
        let weight = |name: &str| {
            let named = ranges.iter().filter(|(range, _)| *range == name);
            named.map(|(_, weight)| *weight).reduce(f32::max)
        };
        let text = ["text/plain", "text/*", "*/*"]
            .into_iter()
            .find_map(weight)
            .unwrap_or(0.0);
        match weight("application/openmetrics-text") {
            Some(weight) if weight > 0.0 && weight >= text => Self::OpenMetrics,
            _ => Self::Text,
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// A text of `OpenMetrics` in this format.
    pub(crate) fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Text => as_text(&open_metrics),
        }
    }
}

/// A media range in small letters, and its weight from 0 to 1.
fn weighed(range: &str) -> (&str, f32) {
    let mut parts = range.split(';').map(str::trim);
    let name = parts.next().unwrap_or_default();
    let weight = parts.find_map(|part| part.strip_prefix("q="));
    let weight = weight.map_or(1.0, |text| text.parse().unwrap_or(0.0));
    (name, weight)
}

/// The older format names a counter as its samples are named, and knows neither units nor an end.
fn as_text(open_metrics: &str) -> String {
    let mut text = String::with_capacity(open_metrics.len());
    let mut lines = open_metrics.lines().peekable();
    while let Some(line) = lines.next() {
        let counter = line.strip_prefix("# HELP ").and_then(|rest| {
            let (name, help) = rest.split_once(' ')?;
            let kind = lines.peek()?.strip_prefix("# TYPE ")?;
            (kind.strip_prefix(name)? == " counter").then_some((name, help))
        });
        if let Some((name, help)) = counter {
            lines.next();
            // A String takes all that is written to it.
            let _ = write!(
                text,
                "# HELP {name}_total {help}\n# TYPE {name}_total counter\n"
            );
        } else if !line.starts_with("# UNIT ") && line != "# EOF" {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(lines: &[&'static str]) -> Format {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, http::HeaderValue::from_static(line));
        }
        Format::asked(&headers)
    }

    #[test]
    fn the_older_format_is_sent_unless_the_newer_one_is_asked_for() {
        let open = "application/openmetrics-text;version=1.0.0";
        for plain in [
            &[][..],
            &["*/*"],
            &["text/plain;version=0.0.4"],
            &["text/html,*/*;q=0.8"],
            &["application/openmetrics-text;q=0.5,text/plain;q=0.6"],
            &["application/openmetrics-text;q=0"],
            &["application/openmetrics-text;q=what"],
        ] {
            assert_eq!(asked(plain), Format::Text, "{plain:?}");
        }
        for newer in [
            &[open][..],
            &[
                "text/plain;version=0.0.4;q=0.3",
                "application/openmetrics-text; q=0.3",
            ],
            // As Prometheus 2 and 3 ask.
            &[
                "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,\
               text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
            ],
        ] {
            assert_eq!(asked(newer), Format::OpenMetrics, "{newer:?}");
        }
    }

    #[test]
    fn a_counter_is_named_as_its_samples_are_and_nothing_else_changes() {
        let newer = "# HELP t_calls Calls.\n# TYPE t_calls counter\nt_calls_total{a=\"# EOF\"} 1\n# HELP t_lag_seconds Lag.\n\
            # TYPE t_lag_seconds gauge\n# UNIT t_lag_seconds seconds\nt_lag_seconds 0.5\n# EOF\n";
        assert_eq!(
            Format::Text.of(newer.to_owned()),
            "# HELP t_calls_total Calls.\n# TYPE t_calls_total counter\nt_calls_total{a=\"# EOF\"} 1\n\
            # HELP t_lag_seconds Lag.\n# TYPE t_lag_seconds gauge\nt_lag_seconds 0.5\n"
        );
        assert_eq!(Format::OpenMetrics.of(newer.to_owned()), newer);
    }
}
