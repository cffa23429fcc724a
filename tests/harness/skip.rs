//! What is not tried because the machine lacks something. It must not know what that is.

/// Says loudly that something was not tried. Where everything has to be tried, as in CI, that is a failure.
///
/// # Panics
/// With `CI` in the environment.
pub fn skipped(why: &str) {
    assert!(
        std::env::var_os("CI").is_none(),
        "in CI nothing is skipped: {why}"
    );
    eprintln!("SKIPPED: {why}");
}
