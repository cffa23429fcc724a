//! Which words make a log filter.

use super::Setting;

#[test]
fn a_slip_in_a_log_filter_does_not_silence_the_log() {
    let told = |filter: &str| {
        let told = Setting::of(&format!("[log]\nfilter = \"{filter}\"\n")).mistakes();
        let mut lines = told.lines().map(str::trim);
        let first = lines.next().unwrap().to_owned();
        (first, lines.nth(2).unwrap().to_owned())
    };
    for (filter, word, near) in [
        ("inof", "inof", "info"),
        ("wrn", "wrn", "warn"),
        ("inof,call=info", "inof", "info"),
        ("info,proxy=debgu", "debgu", "debug"),
    ] {
        let (error, form) = told(filter);
        assert_eq!(error, format!("error: there is no log level `{word}`"));
        assert!(
            form.contains(&format!("did you mean \"{near}\"? (one of off, error, ")),
            "{form}"
        );
    }
    let (error, form) = told("info,porxy=debug");
    assert_eq!(error, "error: the log has no part `porxy`");
    assert!(form.contains("did you mean \"proxy\"?"), "{form}");
    // A part alone would be all of it, and nothing of the others.
    assert_eq!(told("proxy").0, "error: there is no log level `proxy`");
}

#[test]
fn levels_and_parts_that_there_are_make_a_log_filter() {
    for filter in [
        "off",
        "WARN",
        "info,call=off",
        "info,proxy=debug",
        "warn,proxy::call=trace,hyper_util=info",
        "info,",
    ] {
        let file = format!("[log]\nfilter = \"{filter}\"\n");
        assert_eq!(Setting::of(&file).loaded().config.log.filter, filter);
    }
}
