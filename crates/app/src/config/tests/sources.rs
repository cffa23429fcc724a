//! Flag, variable, file, default: what wins, and what the environment may say.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use meter::{AfterCrossing, SharedProjects, UsageTier};

use super::Setting;
use crate::config::keys::SECRETS;
use crate::config::{BUILT_IN_OFFER, Config, KEYS, Secret, UpstreamUrl, VARIABLES, load};

#[test]
fn a_flag_wins_over_a_variable_over_the_file_over_the_default() {
    let mut setting = Setting::of("");
    let port = |setting: &Setting| setting.loaded().config.listen.port();
    assert_eq!(port(&setting), 8800);
    setting.beside("tollfree.toml", "listen = \"127.0.0.1:1\"");
    assert_eq!(port(&setting), 1);
    let variable: [(OsString, OsString); 1] = [("TOLLFREE_LISTEN".into(), "localhost:2".into())];
    setting.sources.environment = variable.into_iter().collect();
    assert_eq!(port(&setting), 2);
    setting.sources.flags.listen = "127.0.0.1:3".parse().ok();
    assert_eq!(port(&setting), 3);
}

#[test]
fn the_file_is_the_flags_else_the_variables_else_the_default() {
    let mut setting = Setting::of("usage_tier = 1");
    let tier = |setting: &Setting| setting.loaded().config.terms.usage_tier.map(UsageTier::get);
    assert_eq!(tier(&setting), Some(1));
    let second = setting
        .beside("second.toml", "usage_tier = 2")
        .into_os_string();
    let variable: [(OsString, OsString); 1] = [("TOLLFREE_CONFIG".into(), second)];
    setting.sources.environment = variable.into_iter().collect();
    assert_eq!(tier(&setting), Some(2));
    setting.sources.flags.config = Some(setting.beside("third.toml", "usage_tier = 3"));
    assert_eq!(tier(&setting), Some(3));

    let mut none = Setting::of("");
    none.sources.default_file = PathBuf::from("/nowhere/tollfree.toml");
    assert_eq!(none.loaded().origin, None);
}

#[test]
fn variables_have_the_forms_of_the_file() {
    let variables = [
        ("TOLLFREE_SHARED_PROJECTS", "proj_a, proj_b"),
        ("TOLLFREE_STREAMS_ASK_FOR_USAGE", "false"),
        ("TOLLFREE_LIMITS_HELD_ANSWER_BYTES", "1000"),
        ("TOLLFREE_LIMITS_HELD_ANSWER_TIME", "1500 ms"),
        ("TOLLFREE_OFFER_AFTER_CROSSING", "free-if-it-fits"),
        ("TOLLFREE_LISTEN", ""),
    ];
    let config = Setting::with("", &variables).loaded().config;
    let projects = SharedProjects::Only(vec!["proj_a".into(), "proj_b".into()]);
    assert_eq!(config.terms.shared_projects, Some(projects));
    assert!(!config.streams.ask_for_usage);
    assert_eq!(config.limits.held_answer_bytes, 1_000);
    assert_eq!(config.limits.held_answer_time.as_millis(), 1_500);
    assert_eq!(config.offer.after_crossing, AfterCrossing::FreeIfItFits);
    assert_eq!(config.listen, Config::default().listen);
}

#[test]
fn proxies_and_roots_come_from_the_environment_too() {
    let setting = Setting::of("");
    let secret = setting.beside("proxy", "http://user:word@named:3128\n");
    let secret = secret.to_str().unwrap().to_owned();
    let variables = [
        ("https_proxy", "http://lower:1"),
        ("HTTPS_PROXY", "http://upper:1"),
        ("HTTP_PROXY", "http://never:1"),
        ("all_proxy", "http://all:1"),
        ("NO_PROXY", "localhost,.internal"),
        ("SSL_CERT_FILE", "/etc/roots.pem"),
        ("TOLLFREE_UPSTREAM_PROXY_FILE", secret.as_str()),
    ];
    let upstream = Setting::with("", &variables).loaded().config.upstream;
    let shown = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    assert_eq!(
        shown(&upstream.proxy).as_deref(),
        Some("http://user:word@named:3128")
    );
    let environment = &upstream.environment_proxy;
    assert_eq!(shown(&environment.https).as_deref(), Some("http://upper:1"));
    assert_eq!(shown(&environment.http), None);
    assert_eq!(shown(&environment.all).as_deref(), Some("http://all:1"));
    assert_eq!(environment.except.as_deref(), Some("localhost,.internal"));
    assert_eq!(
        upstream.ca_file.as_deref(),
        Some(Path::new("/etc/roots.pem"))
    );
}

#[test]
fn files_that_a_reload_reads_again_are_known_with_and_without_mistakes() {
    let mut setting = Setting::of(
        "[listener]\ntls_certificate = \"certificate.pem\"\ntls_key = \"key.pem\"\n\
                [upstream]\nca_file = \"roots.pem\"\n[offer]\nfile = \"offer.toml\"\n",
    );
    for name in ["roots.pem", "certificate.pem", "key.pem"] {
        setting.beside(name, "");
    }
    let offer = setting.beside("offer.toml", BUILT_IN_OFFER);
    let secret = setting.beside("proxy", "http://named:3128\n");
    let variable = [("TOLLFREE_UPSTREAM_PROXY_FILE".into(), secret.into())];
    setting.sources.environment = variable.into_iter().collect();
    let mut expected = [
        "tollfree.toml",
        "certificate.pem",
        "key.pem",
        "roots.pem",
        "proxy",
        "offer.toml",
    ]
    .map(|name| offer.with_file_name(name));
    expected.sort();
    let sorted = |mut files: Vec<PathBuf>| {
        files.sort();
        files
    };
    assert_eq!(sorted(setting.loaded().files), expected);
    setting.beside("offer.toml", "wrong");
    std::fs::remove_file(offer.with_file_name("key.pem")).unwrap();
    assert_eq!(sorted(load(&setting.sources).unwrap_err().files), expected);
}

#[test]
fn each_secret_has_a_variable_for_its_file_that_is_known() {
    for key in KEYS.iter().filter(|key| SECRETS.contains(&key.path)) {
        let name = format!("{}_FILE", key.variable);
        let known = VARIABLES.iter().any(|variable| variable.name == name);
        assert!(known, "{name}");
    }
}

#[test]
fn a_variable_that_only_looks_like_ours_is_one_warning() {
    let variables = [
        ("TOLLFREE_LISTNE", "127.0.0.1:1"),
        ("TOLLFREE_XYZZY", "1"),
        ("TOLLFREE_PORT", "tcp://10.0.0.1:8800"),
        ("TOLLFREE_PORT_8800_TCP", "tcp://10.0.0.1:8800"),
        ("TOLLFREE_SERVICE_HOST", "10.0.0.1"),
        ("TOLLFREE_DATA_DIR", "off"),
        ("OPENAI_API_KEY", "sk-1"),
    ];
    assert_eq!(
        Setting::with("", &variables).loaded().warnings,
        [
            "variable TOLLFREE_LISTNE is not known. help: did you mean TOLLFREE_LISTEN?",
            "variable TOLLFREE_XYZZY is not known. help: tollfree help environment lists all",
        ]
    );
}

#[test]
fn base_urls_are_a_scheme_a_host_and_a_port() {
    for (text, shown, authority, named) in [
        (
            "https://api.openai.com",
            "https://api.openai.com",
            "api.openai.com",
            "api.openai.com:443",
        ),
        (
            "https://EU.api.openai.com/v1/",
            "https://eu.api.openai.com",
            "eu.api.openai.com",
            "eu.api.openai.com:443",
        ),
        (
            "http://127.0.0.1:8900/",
            "http://127.0.0.1:8900",
            "127.0.0.1:8900",
            "127.0.0.1:8900",
        ),
        ("http://[::1]:80", "http://[::1]", "[::1]", "[::1]:80"),
    ] {
        let url = UpstreamUrl::parse(text).unwrap();
        assert_eq!(
            (
                url.to_string().as_str(),
                url.authority().as_str(),
                url.named().as_str()
            ),
            (shown, authority, named)
        );
    }
    for text in [
        "",
        "api.openai.com",
        "api.openai.com:443",
        "ftp://x",
        "https://",
        "https://x/v2",
        "https://x?y",
        "https://k@x",
        "https://x:0",
        "https://x:99999",
        "https://x:",
        "https://x y",
    ] {
        assert!(UpstreamUrl::parse(text).is_err(), "{text}");
    }
}
