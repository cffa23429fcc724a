//! What a client gets must be what it would have got, at every cut.

use super::*;

fn unask(pieces: &[&[u8]]) -> Vec<u8> {
    let mut filter = UsageUnask::new();
    let mut out = vec![];
    for piece in pieces {
        filter.push(piece, &mut out);
    }
    filter.finish(&mut out);
    out
}

#[track_caller]
fn check(asked: &[u8], expected: &[u8]) {
    let shown = |bytes: &[u8]| bytes.escape_ascii().to_string();
    for cut in 0..=asked.len() {
        let (first, second) = asked.split_at(cut);
        let out = unask(&[first, second]);
        assert_eq!(shown(&out), shown(expected), "cut at {cut}");
    }
    for size in [1, 2, 5, 64] {
        let pieces: Vec<&[u8]> = asked.chunks(size).collect();
        assert_eq!(shown(&unask(&pieces)), shown(expected));
    }
}

macro_rules! check_fixture {
    ($name:literal) => {
        check(
            include_bytes!(concat!("../../fixtures/sse/", $name, "_asked.sse")),
            include_bytes!(concat!("../../fixtures/sse/", $name, "_never_asked.sse")),
        );
    };
}

#[test]
fn an_asked_stream_becomes_the_one_never_asked_for() {
    check_fixture!("chat");
    check_fixture!("chat_crlf");
    check_fixture!("moderation");
    check_fixture!("completions");
}

#[test]
fn all_other_streams_pass_unchanged() {
    for stream in [
        &include_bytes!("../../fixtures/sse/chat_never_asked.sse")[..],
        include_bytes!("../../fixtures/sse/moderation_never_asked.sse"),
        include_bytes!("../../fixtures/sse/responses_completed.sse"),
        include_bytes!("../../fixtures/sse/transcription.sse"),
        b"",
        b"\n",
        b"\r\r\n\n",
        b"no stream at all",
        b"data",
        b"data\n\n",
        b"data: {\"usage\":null",
        b"data: {\"usage\":nul}\n\n",
        b"data: [\"usage\",null]\n\n",
        b"data: {\"x\":{\"usage\":null}}\n\n",
        b"data: {\"usage\":null,\"usage\":null}\n\n",
        b"data: {\"usage\":{},\"choices\":[{}]}\n\n",
        b"data: {\"usage\":{},\"choices\":null}\n\n",
        b"data: {\"usage\":{}}\n\n",
        b"data: {\"usage\":7,\"choices\":[]}\n\n",
        b"data: {\"usage\":{},\"choices\":[],\"moderation\":{}}\n\n",
        b"data: {\"usage\":{},\"choices\":[],\"id\":1,\"id\":1}\n\n",
        b"data: {\"usage\":{},\"choices\":[]}\ndata: more\n\n",
        b"data: {\"usage\":{},\"choices\":[]}\ndata\n\n",
        b"data: more\ndata: {\"usage\":{},\"choices\":[]}\n\n",
        b"event: x\r\n: comment\r\ndata: y\r\n\r\n",
        b"event: x",
        b"retry: 1\n\nid: 7\n\n",
    ] {
        check(stream, stream);
    }
}

#[test]
fn exactly_two_things_are_taken_out() {
    for (asked, expected) in [
        // One adjoining comma, wherever the member stands.
        (
            &b"data: {\"a\":1,\"usage\":null}\n\n"[..],
            &b"data: {\"a\":1}\n\n"[..],
        ),
        (
            b"data: {\"a\":1 , \"usage\" : null , \"b\":2}\n\n",
            b"data: {\"a\":1  , \"b\":2}\n\n",
        ),
        (
            b"data: {\"usage\":null,\"a\":1}\n\n",
            b"data: {\"a\":1}\n\n",
        ),
        (b"data: {\"usage\":null}\n\n", b"data: {}\n\n"),
        (
            b"data:{\"a\":\",\",\"usage\":null}\r\n\r\n",
            b"data:{\"a\":\",\"}\r\n\r\n",
        ),
        (
            b"data: {\"a\":1,\"usage\":null}\r\r",
            b"data: {\"a\":1}\r\r",
        ),
        (b"data: {\"a\":1,\"usage\":null}", b"data: {\"a\":1}"),
        (
            b"\xef\xbb\xbfdata: {\"a\":1,\"usage\":null}\n\n",
            b"\xef\xbb\xbfdata: {\"a\":1}\n\n",
        ),
        (
            b"id: 1\ndata: {\"a\":1,\"usage\":null}\n\n",
            b"id: 1\ndata: {\"a\":1}\n\n",
        ),
        // The whole event, fields and all, with any line ending, ended or not.
        (
            b"data: {\"usage\":{},\"choices\":[]}\n\ndata: x\n\n",
            b"data: x\n\n",
        ),
        (
            b"data: {\"usage\":{},\"choices\":[ ]}\r\n\r\ndata: x\r\n\r\n",
            b"data: x\r\n\r\n",
        ),
        (
            b"data: {\"usage\":{},\"choices\":[]}\r\rdata: x\r\r",
            b"data: x\r\r",
        ),
        (
            b"id: 9\ndata: {\"usage\":{},\"choices\":[]}\nretry: 1\n\nx\n",
            b"x\n",
        ),
        (b"data: {\"usage\":{},\"choices\":[]}", b""),
        (b"data: {\"usage\":{},\"choices\":[]}\n", b""),
        (
            b"data: {\"usage\":{},\"choices\":[],\"moderation\":null}\n\n",
            b"",
        ),
        (
            b": c\n\ndata: {\"usage\":{},\"choices\":[]}\n\n",
            b": c\n\n",
        ),
        // A member that the events before it had as well.
        (
            b"data: {\"choices\":[{}],\"region\":1,\"usage\":null}\n\ndata: {\"choices\":[],\"region\":2,\"usage\":{}}\n\n",
            b"data: {\"choices\":[{}],\"region\":1}\n\n",
        ),
        (
            b"data: {\"choices\":[{}],\"region\":1,\"usage\":null}\n\ndata: {\"choices\":[],\"other\":2,\"usage\":{}}\n\n",
            b"data: {\"choices\":[{}],\"region\":1}\n\ndata: {\"choices\":[],\"other\":2,\"usage\":{}}\n\n",
        ),
    ] {
        check(asked, expected);
    }
}

#[test]
fn only_what_is_undecided_is_held() {
    let mut filter = UsageUnask::new();
    for (piece, expected) in [
        (&b": comm"[..], &b": comm"[..]),
        (b"ent\n", b"ent\n"),
        (b"\n", b"\n"),
        (b"data: {\"a\":1,", b""),
        (b"\"usage\":null}\r", b"data: {\"a\":1}\r"),
        (b"\n", b"\n"),
        (b"\r", b"\r"),
        (b"\ndata: {\"usage\":{},\"choices\":[]}\n", b"\n"),
        (b"\ndata: [DONE]\n", b"data: [DONE]\n"),
        (b"\n", b"\n"),
    ] {
        let mut out = vec![];
        filter.push(piece, &mut out);
        assert_eq!(out, expected, "{}", piece.escape_ascii());
    }
}

#[test]
fn a_line_too_long_to_hold_passes() {
    let long = format!(
        "data: {{\"a\":\"{}\",\"usage\":null}}\n\n",
        "x".repeat(MOST_HELD_BYTES)
    );
    for size in [4096, long.len()] {
        let pieces: Vec<&[u8]> = long.as_bytes().chunks(size).collect();
        assert!(unask(&pieces) == long.as_bytes(), "{size}");
    }
    let mut filter = UsageUnask::new();
    let mut out = vec![];
    for piece in long.as_bytes().chunks(4096) {
        filter.push(piece, &mut out);
        assert!(filter.line.capacity() + filter.event.capacity() <= 3 * MOST_HELD_BYTES);
    }
    // What comes after is looked at again.
    filter.push(b"data: {\"a\":1,\"usage\":null}\n\n", &mut out);
    assert!(out.ends_with(b"data: {\"a\":1}\n\n"));
}
