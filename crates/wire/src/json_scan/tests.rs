//! The scanner against `serde_json`, and against every cut.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tag {
    Root,
    A,
    Inner,
    Item,
    ItemKind,
    List,
    Other,
}

static ITEM: Node<Tag> = Node::object(&[("k", Node::raw(Tag::ItemKind))]).tagged(Tag::Item);
static OTHER: Node<Tag> = Node::place(Tag::Other);
static ROOT: Node<Tag> = Node::object(&[
    ("a", Node::raw(Tag::A)),
    (
        "o",
        Node::object(&[("in", Node::raw(Tag::Inner))]).and_others(&OTHER),
    ),
    ("l", Node::array(&ITEM).tagged(Tag::List)),
])
.tagged(Tag::Root);

/// A found value, owned.
type Seen = (Tag, bool, (usize, usize, usize), u8, Option<Vec<u8>>);

fn scan(pieces: &[&[u8]]) -> Result<Vec<Seen>, ScanError> {
    let mut scanner = Scanner::new(&ROOT);
    let mut seen = vec![];
    let mut sink = |found: Found<'_, Tag>| {
        seen.push((
            found.tag,
            found.again,
            (found.key_start, found.value_start, found.value_end),
            found.first,
            found.whole().map(<[u8]>::to_vec),
        ));
    };
    for piece in pieces {
        scanner.push(piece, &mut sink)?;
    }
    scanner.finish(&mut sink)?;
    Ok(seen)
}

fn raws(json: &str) -> Vec<(Tag, bool, String)> {
    scan(&[json.as_bytes()])
        .unwrap()
        .into_iter()
        .map(|(tag, again, (_, start, end), first, raw)| {
            let text = &json[start..end];
            assert_eq!(text.as_bytes()[0], first);
            if let Some(raw) = raw {
                assert_eq!(text.as_bytes(), raw);
            }
            (tag, again, text.to_owned())
        })
        .collect()
}

const SAMPLE: &str = r#" {"x":[{"a":1},[[]],{}],"a" : "q\"\\\u00e9\n","o":{"in":-1.5e+3,"y":{"in":2},"z":[]},
  "l":[{"k":"one","n":[{"k":0}]},7,{},{"k":null}],"t":true,"f":false,"a":{"in":[1,2]}} "#;

#[test]
fn values_are_found_by_position_alone() {
    use Tag::{A, Inner, Item, ItemKind, List, Other, Root};
    let expected: &[(Tag, bool, &str)] = &[
        (A, false, r#""q\"\\\u00e9\n""#),
        (Inner, false, "-1.5e+3"),
        (Other, false, r#"{"in":2}"#),
        (Other, false, "[]"),
        (ItemKind, false, r#""one""#),
        (Item, false, r#"{"k":"one","n":[{"k":0}]}"#),
        (Item, false, "7"),
        (Item, false, "{}"),
        (ItemKind, false, "null"),
        (Item, false, r#"{"k":null}"#),
        (
            List,
            false,
            r#"[{"k":"one","n":[{"k":0}]},7,{},{"k":null}]"#,
        ),
        (A, true, r#"{"in":[1,2]}"#),
        (Root, false, SAMPLE.trim()),
    ];
    let found = raws(SAMPLE);
    let found: Vec<_> = found.iter().map(|(t, a, s)| (*t, *a, &**s)).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_cut_gives_the_same() {
    let whole = scan(&[SAMPLE.as_bytes()]);
    let bytes = SAMPLE.as_bytes();
    for first in 0..=bytes.len() {
        for second in first..=bytes.len() {
            let cut = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            assert_eq!(scan(&cut), whole, "cut at {first} and {second}");
        }
    }
    let single: Vec<&[u8]> = bytes.chunks(1).collect();
    assert_eq!(scan(&single), whole);
}

#[test]
fn truncation_is_always_told() {
    let bytes = SAMPLE.trim().as_bytes();
    for end in 0..bytes.len() {
        assert_eq!(
            scan(&[&bytes[..end]]),
            Err(ScanError::Truncated),
            "cut at {end}"
        );
    }
}

#[test]
fn a_member_is_noticed_again_however_it_is_spelled() {
    let found = raws(r#"{"a":1,"\u0061":2,"A":3,"a":4}"#);
    let found: Vec<_> = found.iter().map(|(t, a, s)| (*t, *a, &**s)).collect();
    assert_eq!(found[0], (Tag::A, false, "1"));
    assert_eq!(found[1], (Tag::A, true, "2"));
    assert_eq!(found[2], (Tag::A, true, "4"));
    assert_eq!(found.len(), 4);
    // The same name in another object is another member.
    let found = raws(r#"{"l":[{"k":1},{"k":2},{"k":3,"k":4}]}"#);
    let agains: Vec<_> = found
        .iter()
        .filter(|(tag, ..)| *tag == Tag::ItemKind)
        .map(|(_, again, _)| *again)
        .collect();
    assert_eq!(agains, [false, false, false, true]);
}

#[test]
fn long_values_and_keys_are_bounded() {
    for length in [MOST_RAW_BYTES - 2, MOST_RAW_BYTES - 1] {
        let json = format!(r#"{{"a":"{}"}}"#, "x".repeat(length));
        let expected = length + 2 <= MOST_RAW_BYTES;
        for chunk in [1, 7, 5000, json.len()] {
            let pieces: Vec<&[u8]> = json.as_bytes().chunks(chunk).collect();
            let seen = scan(&pieces).unwrap();
            assert_eq!(
                (seen[0].0, seen[0].4.is_some()),
                (Tag::A, expected),
                "{length} {chunk}"
            );
        }
    }
    let json = format!(r#"{{"{}":1,"a":2}}"#, "\\u0061".repeat(20_000));
    let pieces: Vec<&[u8]> = json.as_bytes().chunks(1000).collect();
    assert_eq!(scan(&pieces).unwrap().len(), 2);
}

#[test]
fn nesting_is_bounded_and_flat() {
    for open in ["[", "{\"a\":"] {
        let deep = open.repeat(MOST_NESTING);
        assert_eq!(scan(&[deep.as_bytes()]), Err(ScanError::Truncated));
        let deeper = open.repeat(MOST_NESTING + 1);
        assert_eq!(scan(&[deeper.as_bytes()]), Err(ScanError::TooDeep));
        let huge = open.repeat(1_000_000);
        assert_eq!(scan(&[huge.as_bytes()]), Err(ScanError::TooDeep));
    }
    let closed = format!("{}{}", "[".repeat(MOST_NESTING), "]".repeat(MOST_NESTING));
    assert_eq!(scan(&[closed.as_bytes()]).unwrap().len(), 1);
    let mixed = format!("{}0{}", "[{\"x\":".repeat(500), "}]".repeat(500));
    assert_eq!(scan(&[mixed.as_bytes()]).unwrap().len(), 1);
    let wrong = format!("{}0{}", "[{\"x\":".repeat(500), "]}".repeat(500));
    assert_eq!(scan(&[wrong.as_bytes()]), Err(ScanError::Malformed));
}

#[test]
fn what_nobody_wants_is_checked_whole_however_deep() {
    for depth in [1, 63, 64, 65, 200] {
        for (open, close) in [("[", "]"), (r#"{"x":"#, "}"), (r#"[{"y" : "#, "\n}]")] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            let json = format!(r#"{{"z":{open}0{close},"a":1}}"#);
            let found = scan(&[json.as_bytes()]).unwrap();
            assert_eq!(found.len(), 2, "{json}");
            let wrong = json.replacen('0', "00", 1);
            assert_eq!(
                scan(&[wrong.as_bytes()]),
                Err(ScanError::Malformed),
                "{wrong}"
            );
        }
    }
}

#[test]
fn an_error_stays() {
    let mut scanner = Scanner::new(&ROOT);
    assert_eq!(scanner.push(b"{]", |_| {}), Err(ScanError::Malformed));
    assert_eq!(scanner.push(b"}", |_| {}), Err(ScanError::Malformed));
    assert_eq!(scanner.finish(|_| {}), Err(ScanError::Malformed));
    assert!(!scanner.is_done());
    scanner.reset();
    assert_eq!(scanner.push(b"{}", |_| {}), Ok(()));
    assert!(scanner.is_done());
    assert_eq!(scanner.finish(|_| {}), Ok(()));
}

/// The word of `serde_json` on the same bytes, with strings made as lenient as the scanner is: raw
/// control characters and lone surrogates replaced. (`IgnoredAny` lets other bytes pass too.)
fn serde_accepts(bytes: &[u8]) -> bool {
    let mut lenient = Vec::with_capacity(bytes.len());
    let mut in_string = false;
    let mut escaped = false;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    for &byte in bytes {
        let mut byte = byte;
        if in_string {
            if byte < 0x20 && !escaped {
                byte = b' ';
            }
            match byte {
                b'"' if !escaped => in_string = false,
                b'\\' if !escaped => escaped = true,
                _ => escaped = false,
            }
            if byte >= 0x80 {
                byte = b'x';
            }
        } else if byte == b'"' {
            in_string = true;
        }
        lenient.push(byte);
    }
    serde_json::from_slice::<serde::de::IgnoredAny>(&lenient).is_ok()
}

fn accepts(bytes: &[u8]) -> bool {
    scan(&[bytes]).is_ok()
}

/// Documents and near misses.
const GRAMMAR: &[&str] = &[
    "",
    " ",
    "0",
    "-0",
    "01",
    "-",
    "1.",
    ".5",
    "1.5",
    "1e5",
    "1E+5",
    "1e-",
    "1e",
    "+1",
    "1 2",
    "-01",
    "0e0",
    "0.0e-0",
    "--1",
    "1-",
    "0x1",
    "true",
    "tru",
    "trues",
    "True",
    "null",
    "nul",
    "nullnull",
    "false",
    "[]",
    "[",
    "]",
    "[,]",
    "[1,]",
    "[1 2]",
    "[1,2]",
    "{}",
    "{",
    "}",
    "{,}",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1,\"b\":2}",
    "{a:1}",
    "{1:1}",
    "[}",
    "{]",
    "[1}",
    "{\"a\":1]",
    "\"",
    "\"a",
    "\"a\"",
    "\"\\\"",
    "\"\\x\"",
    "\"\\u12g4\"",
    "\"\\u1234\"",
    "\"\\u123\"",
    "\"\\ud800\"",
    "\"a\" \"b\"",
    "{} {}",
    "{}x",
    "\u{feff}{}",
    "//c\n1",
    "[1]\n",
    "\t{\r\n}\u{b}",
    "\u{c}1",
    "NaN",
    "Infinity",
    "'a'",
];

#[test]
fn the_grammar_is_json() {
    for json in GRAMMAR {
        let (found, expected) = (accepts(json.as_bytes()), serde_accepts(json.as_bytes()));
        // A leniency: a lone surrogate changes no structure.
        assert_eq!(found, expected || *json == "\"\\ud800\"", "{json:?}");
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<i32>().prop_map(|eighths| (f64::from(eighths) / 8.0).into()),
        "\\PC{0,40}".prop_map(Into::into),
        "[\"\\\\/\\n\\t\u{1}a-c]{0,12}".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::vec(
                (
                    prop_oneof!["[aolk]", Just("in".to_owned()), "\\PC{0,8}"],
                    inner
                ),
                0..6
            )
            .prop_map(|members| members
                .into_iter()
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn all_json_is_accepted_and_found(value in json(), pretty: bool, cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4)) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let whole = scan(&[&text]).unwrap();
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(text.len() + 1)).collect();
        cuts.extend([0, text.len()]);
        cuts.sort_unstable();
        let pieces: Vec<&[u8]> = cuts.windows(2).map(|cut| &text[cut[0]..cut[1]]).collect();
        prop_assert_eq!(&scan(&pieces).unwrap(), &whole);
        // What is found at a position is what serde_json finds there.
        for (tag, pointer) in [(Tag::A, "/a"), (Tag::Inner, "/o/in"), (Tag::List, "/l")] {
            let found = whole.iter().find(|seen| seen.0 == tag);
            let expected = value.pointer(pointer);
            match (found, expected) {
                (Some((_, _, (_, start, end), ..)), Some(expected)) => {
                    let found: serde_json::Value = serde_json::from_slice(&text[*start..*end]).unwrap();
                    prop_assert_eq!(&found, expected);
                }
                (found, expected) => prop_assert_eq!(found.is_some(), expected.is_some()),
            }
        }
    }

    #[test]
    fn mutated_json_is_accepted_exactly_if_it_is_json(
        value in json(),
        mutations in prop::collection::vec(
            (any::<prop::sample::Index>(), prop::sample::select(&b"{}[],:\"\\0123-+.eEtfn \nu\x01\xff"[..]), 0..3_u8),
            1..4,
        ),
    ) {
        let mut text = serde_json::to_vec(&value).unwrap();
        for (at, byte, kind) in mutations {
            if text.is_empty() { break; }
            let at = at.index(text.len());
            match kind {
                0 => text[at] = byte,
                1 => text.insert(at, byte),
                _ => { text.remove(at); }
            }
        }
        // Lone surrogates are the one leniency the comparison cannot even out.
        prop_assume!(!text.windows(3).any(|three| three[..2] == *b"\\u" && matches!(three[2], b'd' | b'D')));
        prop_assert_eq!(accepts(&text), serde_accepts(&text), "{}", text.escape_ascii());
        // Whole, it is read by leaps; byte by byte, by the grammar alone.
        let single: Vec<&[u8]> = text.chunks(1).collect();
        prop_assert_eq!(scan(&[&text]), scan(&single), "{}", text.escape_ascii());
    }
}
