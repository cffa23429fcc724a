//! Every mistake with its place and the right form, all in one run.

use std::path::PathBuf;

use insta::assert_snapshot;
use proptest::prelude::*;

use super::{Setting, uncommented};
use crate::config::{BUILT_IN_OFFER, UpstreamUrl, load};

#[test]
fn two_mistakes_are_two_spans_in_one_run() {
    let file =
        "# 1\n# 2\n# 3\n# 4\n# 5\n# 6\nusage_tier = 7\n\n# 9\n\n[streams]\nask_for_usgae = false\n";
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: usage tier 7 does not exist
     --> tollfree.toml:7:14
      7 | usage_tier = 7
        |              ^ a number from 1 to 5
    error: unknown key `ask_for_usgae` in [streams]
     --> tollfree.toml:12:1
     12 | ask_for_usgae = false
        | ^^^^^^^^^^^^^ did you mean `ask_for_usage`?
    2 mistakes, nothing was started. All keys: tollfree help config
    help: the usage tier stands under Settings > Limits on platform.openai.com; leave it out for tier 1, the cautious reading
    "#);
}

#[test]
fn a_name_that_is_repeated_moves_no_cursor_and_begins_no_line() {
    let file = r#""\u001b[2J\nerror: all is well" = 1"#;
    let told = Setting::of(file).mistakes();
    let first = "error: unknown key `\u{fffd}[2J\u{fffd}error: all is well`\n";
    assert!(told.starts_with(first), "{told:?}");
    assert!(!told.contains('\u{1b}'), "{told:?}");
    let quoted = Setting::of("a = 1 # \u{202e}\u{2066}\n").mistakes();
    assert!(
        quoted.contains("1 | a = 1 # \u{fffd}\u{fffd}\n"),
        "{quoted:?}"
    );
}

#[test]
fn a_hundred_mistakes_are_enough() {
    let keys: Vec<String> = (0..101).map(|key| format!("kye_{key} = 1\n")).collect();
    let keys = keys.concat();
    let told = Setting::of(&keys).mistakes();
    assert!(
        told.ends_with(
            "100 mistakes and more, nothing was started. All keys: tollfree help config\n"
        )
    );
    assert_eq!(told.matches("error: ").count(), 100);
    let (hundred, _) = keys.rsplit_once("kye").unwrap();
    let told = Setting::of(hundred).mistakes();
    assert!(told.contains("\n100 mistakes, nothing"), "{told}");
    let syntax = Setting::of(&"x\n".repeat(1_000)).mistakes();
    assert!(
        syntax.contains("\n100 mistakes and more, nothing"),
        "{syntax}"
    );
}

#[test]
fn a_long_line_is_shown_near_its_mistake_and_no_password_of_it() {
    let long = "x".repeat(10_000);
    let file = format!("a = \"{long}\"\nusage_tier = \"{long}\"\n{long} = 1\n");
    let told = Setting::of(&file).mistakes();
    assert!(told.len() < 5_000, "{}", told.len());
    let password = "hunter2".repeat(2_000);
    let line = format!("comment = 1 # http://user:{password}@proxy\n");
    let told = Setting::of(&line).mistakes();
    assert!(
        told.contains("unknown key `comment`") || told.contains("`comment`"),
        "{told}"
    );
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_syntax_mistake_hides_no_other_mistake() {
    let file =
        "listen = localhost:8800\nenroled = true\ncoverage =\n[streams]\nask_for_usage = 1 # one\n";
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: text needs quotes
     --> tollfree.toml:1:10
      1 | listen = localhost:8800
        |          ^^^^^^^^^^^^^^ "localhost:8800"
    error: unknown key `enroled`
     --> tollfree.toml:2:1
      2 | enroled = true
        | ^^^^^^^ did you mean `enrolled`?
    error: a value is missing
     --> tollfree.toml:3:11
      3 | coverage =
        |           ^ such as true, 3 or "text"
    error: wrong value for `ask_for_usage` in [streams]
     --> tollfree.toml:5:17
      5 | ask_for_usage = 1 # one
        |                 ^ true or false, without quotes
    4 mistakes, nothing was started. All keys: tollfree help config
    "#);
}

#[test]
fn an_unclosed_header_is_said_once() {
    let file = "[upstream\nurl = \"x\"\n[[organizations]]\nname = \"a\"\n[[organizations]]\nname = \"b\"\n";
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: unclosed table
     --> tollfree.toml:1:10
      1 | [upstream
        |          ^ expected `]`
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
}

#[test]
fn values_of_another_form_are_told_the_right_one() {
    let file = r#"
usage_tier = "3"
shared_projects = "some"
[listener]
head_timeout = "7 parsecs"
tls_handshake = 10
most_connections = 0
most_head_bytes = "1 MB"
tls_certificate = "nowhere.pem"
[upstream]
url = "https://api.openai.com/v1/chat"
[offer]
after_crossing = "biled"
[log]
filter = "info,,=x["
"#;
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: wrong value for `usage_tier`
     --> tollfree.toml:2:14
      2 | usage_tier = "3"
        |              ^^^ a number from 1 to 5, without quotes
    error: wrong value for `shared_projects`
     --> tollfree.toml:3:19
      3 | shared_projects = "some"
        |                   ^^^^^^ "all", or a list like ["proj_a", "proj_b"]
    error: wrong value for `head_timeout` in [listener]
     --> tollfree.toml:5:16
      5 | head_timeout = "7 parsecs"
        |                ^^^^^^^^^^^ a duration from 1 ms to 1 h, like "500 ms", "10 s" or "2 min"
    error: wrong value for `tls_handshake` in [listener]
     --> tollfree.toml:6:17
      6 | tls_handshake = 10
        |                 ^^ a duration from 1 ms to 1 h, like "500 ms", "10 s" or "2 min"
    error: wrong value for `most_connections` in [listener]
     --> tollfree.toml:7:20
      7 | most_connections = 0
        |                    ^ a number from 1 to 1,000,000
    error: wrong value for `most_head_bytes` in [listener]
     --> tollfree.toml:8:19
      8 | most_head_bytes = "1 MB"
        |                   ^^^^^^ a size from 8 KiB to 1 MiB, like "1 MiB", "64 KiB" or a number of bytes
    error: cannot read nowhere.pem: no such file or directory
     --> tollfree.toml:9:19
      9 | tls_certificate = "nowhere.pem"
        |                   ^^^^^^^^^^^^^ a file that can be read
    error: wrong value for `url` in [upstream]
     --> tollfree.toml:11:7
     11 | url = "https://api.openai.com/v1/chat"
        |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ no path here: calls bring their own, /v1 included
    error: wrong value for `after_crossing` in [offer]
     --> tollfree.toml:13:18
     13 | after_crossing = "biled"
        |                  ^^^^^^^ did you mean "billed"? ("billed" or "free-if-it-fits")
    error: wrong value for `filter` in [log]
     --> tollfree.toml:15:10
     15 | filter = "info,,=x["
        |          ^^^^^^^^^^^ a level like "info", or "info,proxy=debug"
    10 mistakes, nothing was started. All keys: tollfree help config
    help: the usage tier stands under Settings > Limits on platform.openai.com; leave it out for tier 1, the cautious reading
    "#);
}

#[test]
fn keys_in_the_wrong_place_are_shown_the_right_one() {
    let file = r#"
ask_for_usage = true
[strems]
[limits]
usage_tier = 3
whatever = 1
[drain]
name = "acme"
[log.format]
"#;
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: unknown key `ask_for_usage`
     --> tollfree.toml:2:1
      2 | ask_for_usage = true
        | ^^^^^^^^^^^^^ it belongs in [streams]
    error: unknown section [strems]
     --> tollfree.toml:3:2
      3 | [strems]
        |  ^^^^^^ did you mean [streams]?
    error: unknown key `usage_tier` in [limits]
     --> tollfree.toml:5:1
      5 | usage_tier = 3
        | ^^^^^^^^^^ it belongs at the top of the file, before the first [section]
    error: unknown key `whatever` in [limits]
     --> tollfree.toml:6:1
      6 | whatever = 1
        | ^^^^^^^^ known here: request_inspect_bytes, request_inspect_total, request_inspect_time, held_answer_bytes, held_answers_total, held_answer_time, lookup_wait, lookup_waits_per_key, lookup_waits_total
    error: unknown key `name` in [drain]
     --> tollfree.toml:8:1
      8 | name = "acme"
        | ^^^^ it belongs in [[organizations]]
    error: wrong value for `format` in [log]
     --> tollfree.toml:9:1
      9 | [log.format]
        | ^^^^^^^^^^^^ "pretty" or "json"
    6 mistakes, nothing was started. All keys: tollfree help config
    "#);
}

#[test]
fn organizations_are_checked_one_by_one() {
    let file = r#"
[[organizations]]
aliases = ["a", 3]
[[organizations]]
name = "a"
aliases = ["org-a", "a"]
usage_tier = 0
coverag = "all"
"#;
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: `name` is missing in [[organizations]]
     --> tollfree.toml:2:1
      2 | [[organizations]]
        | ^^^^^^^^^^^^^^^^^ `name` belongs here
    error: wrong value for `aliases` in [[organizations]]
     --> tollfree.toml:3:17
      3 | aliases = ["a", 3]
        |                 ^ a name in quotes, at most 256 bytes
    error: organization `a` is declared twice
     --> tollfree.toml:6:11
      6 | aliases = ["org-a", "a"]
        |           ^^^^^^^^^^^^^^ each name and alias once
    error: usage tier 0 does not exist
     --> tollfree.toml:7:14
      7 | usage_tier = 0
        |              ^ a number from 1 to 5
    error: unknown key `coverag` in [[organizations]]
     --> tollfree.toml:8:1
      8 | coverag = "all"
        | ^^^^^^^ did you mean `coverage`?
    5 mistakes, nothing was started. All keys: tollfree help config
    help: the usage tier stands under Settings > Limits on platform.openai.com; leave it out for tier 1, the cautious reading
    "#);
    assert_snapshot!(Setting::of("[organizations]\nname = \"a\"\n").mistakes(), @r#"
    error: `organizations` is a list of sections
     --> tollfree.toml:1:1
      1 | [organizations]
        | ^^^^^^^^^^^^^^^ write [[organizations]], with two brackets
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
}

#[test]
fn mistakes_in_variables_are_in_the_same_list() {
    let variables = [
        ("TOLLFREE_LISTEN", "8800"),
        ("TOLLFREE_USAGE_TIER", "nine"),
        ("TOLLFREE_ENROLLED", "yes"),
        ("TOLLFREE_DRAIN_GRACE", "10"),
    ];
    assert_snapshot!(Setting::with("usage_tier = 6\n", &variables).mistakes(), @r#"
    error: usage tier 6 does not exist
     --> tollfree.toml:1:14
      1 | usage_tier = 6
        |              ^ a number from 1 to 5
    error: wrong value for TOLLFREE_LISTEN
     --> TOLLFREE_LISTEN
        | 8800
        | ^^^^ an address and a port, like "127.0.0.1:8800" or "[::1]:8800"
    error: wrong value for TOLLFREE_USAGE_TIER
     --> TOLLFREE_USAGE_TIER
        | nine
        | ^^^^ a number from 1 to 5
    error: wrong value for TOLLFREE_ENROLLED
     --> TOLLFREE_ENROLLED
        | yes
        | ^^^ true or false
    error: wrong value for TOLLFREE_DRAIN_GRACE
     --> TOLLFREE_DRAIN_GRACE
        | 10
        | ^^ a duration from 0 s to 24 h, like "500 ms", "10 s" or "2 min"
    5 mistakes, nothing was started. All keys: tollfree help config
    help: the usage tier stands under Settings > Limits on platform.openai.com; leave it out for tier 1, the cautious reading
    "#);
}

#[test]
fn an_upstream_that_is_this_proxy_is_a_loop() {
    let by_variable = Setting::with("", &[("TOLLFREE_UPSTREAM", "http://localhost:8800/v1")]);
    assert_snapshot!(by_variable.mistakes(), @r#"
    error: upstream http://localhost:8800 is this proxy
     --> TOLLFREE_UPSTREAM
        | http://localhost:8800/v1
        | ^^^^^^^^^^^^^^^^^^^^^^^^ tollfree itself listens on 127.0.0.1:8800
    1 mistake, nothing was started. All keys: tollfree help config
    help: remove TOLLFREE_UPSTREAM, or name the real API
    "#);
    let by_file = Setting::of("listen = \"0.0.0.0:80\"\n[upstream]\nurl = \"http://127.0.0.1\"\n");
    assert_snapshot!(by_file.mistakes(), @r#"
    error: upstream http://127.0.0.1 is this proxy
     --> tollfree.toml:3:7
      3 | url = "http://127.0.0.1"
        |       ^^^^^^^^^^^^^^^^^^ tollfree itself listens on 0.0.0.0:80
    1 mistake, nothing was started. All keys: tollfree help config
    help: remove url from [upstream], or name the real API
    "#);
    let mut by_flag = Setting::of("");
    by_flag.sources.flags.upstream = UpstreamUrl::parse("http://[::]:8800").ok();
    assert_snapshot!(by_flag.mistakes(), @r#"
    error: upstream http://[::]:8800 is this proxy
     --> --upstream
        | http://[::]:8800
        | ^^^^^^^^^^^^^^^^ tollfree itself listens on 127.0.0.1:8800
    1 mistake, nothing was started. All keys: tollfree help config
    help: remove --upstream, or name the real API
    "#);
    let the_page = Setting::with("", &[("TOLLFREE_UPSTREAM", "http://127.0.0.1:8801")]);
    assert_snapshot!(the_page.mistakes(), @r#"
    error: upstream http://127.0.0.1:8801 is this proxy's page
     --> TOLLFREE_UPSTREAM
        | http://127.0.0.1:8801
        | ^^^^^^^^^^^^^^^^^^^^^ tollfree itself has its page on 127.0.0.1:8801
    1 mistake, nothing was started. All keys: tollfree help config
    help: remove TOLLFREE_UPSTREAM, or name the real API
    "#);
}

#[test]
fn a_key_that_is_true_or_false_is_not_told_to_take_quotes() {
    let file = "enrolled = yes\n[streams]\ncomment = Off\nclient_gone = finish\n";
    assert_snapshot!(Setting::of(file).mistakes(), @r#"
    error: `yes` is neither true nor false
     --> tollfree.toml:1:12
      1 | enrolled = yes
        |            ^^^ true
    error: `Off` is neither true nor false
     --> tollfree.toml:3:11
      3 | comment = Off
        |           ^^^ false
    error: text needs quotes
     --> tollfree.toml:4:15
      4 | client_gone = finish
        |               ^^^^^^ "finish"
    3 mistakes, nothing was started. All keys: tollfree help config
    "#);
}

#[test]
fn a_password_is_never_shown() {
    let text =
        "[upstream]\nproxy = \"user:hunter2@proxy\"\nproxy = \"http://user:hunter2@proxy\"\n";
    let variables = [("TOLLFREE_UPSTREAM_PROXY", "user:hunter2@proxy")];
    let mistakes = Setting::with(text, &variables).mistakes();
    assert!(mistakes.contains("3 mistakes"), "{mistakes}");
    assert!(!mistakes.contains("hunter2"), "{mistakes}");

    let setting = Setting::with("", &[("HTTPS_PROXY", "http://user:hunter2@proxy")]);
    assert!(!format!("{:?}", setting.loaded()).contains("hunter2"));
}

#[test]
fn calls_and_page_on_one_port_are_a_mistake_that_names_both_keys() {
    let setting = Setting::with(
        "listen = \"127.0.0.1:9000\"\n",
        &[("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:9000")],
    );
    assert_snapshot!(setting.mistakes(), @r#"
    error: admin.listen and listen are both port 9000
     --> TOLLFREE_ADMIN_LISTEN
        | 127.0.0.1:9000
        | ^^^^^^^^^^^^^^ a port of its own, like "127.0.0.1:8801", or "off"
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
    // Each has one of its own, or the system gives them two.
    let apart = Setting::with(
        "listen = \"127.0.0.1:9000\"\n",
        &[("TOLLFREE_ADMIN_LISTEN", "127.0.0.2:9000")],
    );
    apart.loaded();
    let free = Setting::with(
        "listen = \"127.0.0.1:0\"\n",
        &[("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:0")],
    );
    free.loaded();
    // The page's usual port gives way by itself.
    Setting::with("listen = \"127.0.0.1:8801\"\n", &[]).loaded();
}

#[test]
fn what_cannot_be_read_is_said() {
    let mut setting = Setting::bytes(b"# fine\n# \xff\n", &[]);
    assert_snapshot!(setting.mistakes(), @r#"
    error: cannot read tollfree.toml: line 2 is not UTF-8
     --> tollfree.toml
        = a TOML file that can be read
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
    setting.sources.flags.config = Some(PathBuf::from("/nowhere/tollfree.toml"));
    assert_snapshot!(setting.mistakes(), @r#"
    error: cannot read /nowhere/tollfree.toml: no such file or directory
     --> --config
        = a TOML file that can be read
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
    let setting = Setting::with("", &[("TOLLFREE_CONFIG", "/")]);
    assert_snapshot!(setting.mistakes(), @r#"
    error: cannot read /: is a directory
     --> TOLLFREE_CONFIG
        = a TOML file that can be read
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
    let setting = Setting::with("", &[("TOLLFREE_UPSTREAM_PROXY_FILE", "/nowhere/proxy")]);
    assert_snapshot!(setting.mistakes(), @r#"
    error: cannot read /nowhere/proxy: no such file or directory
     --> TOLLFREE_UPSTREAM_PROXY_FILE
        | /nowhere/proxy
        | ^^^^^^^^^^^^^^ a file that can be read
    1 mistake, nothing was started. All keys: tollfree help config
    "#);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever is done to a file, it is read or refused, with places that exist.
    #[test]
    fn no_file_makes_it_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0_usize..40, "[\\[\\]{}=.,\"'#\\n\\t a-z0-9é_-]{0,12}"), 1..6),
        offer in any::<bool>(),
    ) {
        let mut text: Vec<char> = if offer { BUILT_IN_OFFER.chars().collect() } else { uncommented().chars().collect() };
        for (at, removed, inserted) in edits {
            let start = at.index(text.len().max(1)).min(text.len());
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        let setting = if offer { Setting::of("[offer]\nfile = \"offer.toml\"\n") } else { Setting::of(&text) };
        setting.beside("offer.toml", if offer { &text } else { BUILT_IN_OFFER });
        if let Err(mistakes) = load(&setting.sources) {
            prop_assert!(mistakes.to_string().contains(", nothing was started."));
            prop_assert!(mistakes.to_string().contains(" --> "));
        }
    }
}
