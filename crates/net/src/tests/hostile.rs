//! Upstreams without an end, heads sent ahead without an end, and ourselves as our own client.

use std::cell::Cell;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{
    Raw, Serving, connector, listener, post, sending, sockets_seen, text, upstream, within,
};
use crate::connect::origins::{Ends, Found, Origins};
use crate::{ClientBody, ConnectSettings, ListenFigures, Peer, Scheme, Upstream};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n";

#[tokio::test]
async fn interim_answers_are_passed_over_but_not_for_ever() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/", "one"));
        let mut far = Raw::accept(&listener).await;
        far.until("one").await;
        far.say(INTERIM.repeat(1000)).await;
        far.say(OK).await;
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");

        // The limit is one answer's, not the connection's.
        for _ in 0..40 {
            let answer = sending(&connector, post("/", "two"));
            far.until("two").await;
            far.say(INTERIM.repeat(1000)).await;
            far.say(OK).await;
            assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
        }
        assert_eq!(connector.figures().opened, 1);

        let answer = sending(&connector, post("/", "three"));
        far.until("three").await;
        let endless = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            while far.stream.write_all(INTERIM.as_bytes()).await.is_ok() {}
        });
        assert!(answer.await.unwrap().is_err());
        endless.await.unwrap();
        assert_eq!(connector.figures().idle, 0);
    })
    .await;
}

#[tokio::test]
async fn a_client_that_is_ourselves_is_known_and_nobody_else_is() {
    within(async {
        let listener = listener(|_| {}).await;
        let port = listener.local_address().port();
        let connector = connector(ConnectSettings::new(Upstream {
            scheme: Scheme::Http,
            host: "127.0.0.1".to_owned(),
            port,
        }));
        let ours = connector.clone();
        let serving = Serving::start(listener, move |_, peer| {
            let word = if ours.is_client(&peer) {
                "ourselves"
            } else {
                "another"
            };
            async move { Ok(Response::new(Full::new(Bytes::from(word)))) }
        });
        let answer = connector.send(post("/", "")).await.unwrap();
        assert_eq!(text(answer).await, "ourselves");
        let mut another = Raw::connect(serving.address).await;
        another.say("GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
        another.until("another").await;
    })
    .await;
}

#[test]
fn a_port_of_ours_may_lead_to_several_others() {
    let origins: Arc<Origins> = Arc::default();
    let end = |text: &str| text.parse().unwrap();
    let noted = origins.note(Ends::new(end("127.0.0.1:50000"), end("127.0.0.1:9")));
    assert!(origins.contains(Ends::new(end("127.0.0.1:50000"), end("127.0.0.1:9"))));
    assert!(!origins.contains(Ends::new(end("127.0.0.1:50000"), end("127.0.0.1:8800"))));
    // As a listener on all addresses of both families writes it.
    let mapped = Ends::new(end("[::ffff:127.0.0.1]:50000"), end("[::ffff:127.0.0.1]:9"));
    assert!(origins.contains(mapped));
    drop(noted);
    assert!(!origins.contains(mapped));
}

#[test]
fn a_connection_is_looked_at_once_for_each_connector() {
    let (before, after): (Arc<Origins>, Arc<Origins>) = Default::default();
    let end = |text: &str| text.parse().unwrap();
    let ends = Ends::new(end("127.0.0.1:50000"), end("127.0.0.1:8800"));
    let looked = Cell::new(0);
    let asked = |origins: &Origins, found: &Found| {
        origins.have(found, || {
            looked.set(looked.get() + 1);
            ends
        })
    };
    let _noted = before.note(ends);
    let found = Found::default();
    for _ in 0..3 {
        assert!(asked(&before, &found));
    }
    assert_eq!(looked.get(), 1);
    // A reload has its own connections, and this is none of them.
    for _ in 0..3 {
        assert!(!asked(&after, &found));
    }
    assert_eq!(looked.get(), 2);
}

/// Heads of a call, in the forms in which a body may end.
const CALLS: [&str; 3] = [
    "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
    "POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}",
    "POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
];

/// Calls whose requests are read, say so, and are answered when they are told.
async fn held_calls(head: Duration, idle: Duration) -> (Serving, Arc<Notify>, Arc<Notify>) {
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (says, waits) = (Arc::clone(&begun), Arc::clone(&end));
    let listener = listener(|settings| {
        settings.head_timeout = head;
        settings.idle_timeout = idle;
    })
    .await;
    let service = move |request: Request<ClientBody>, _: Peer| {
        let (says, waits) = (Arc::clone(&says), Arc::clone(&waits));
        async move {
            request.into_body().collect().await.unwrap();
            says.notify_one();
            waits.notified().await;
            Ok::<_, Infallible>(Response::new(Full::<Bytes>::from("done")))
        }
    };
    (Serving::start(listener, service), begun, end)
}

#[tokio::test]
async fn half_a_head_behind_a_call_is_cut_as_a_slow_head() {
    const PATIENCE: Duration = Duration::from_millis(150);
    for call in CALLS {
        for is_apart in [false, true] {
            within(async {
                let (serving, begun, end) = held_calls(PATIENCE, Duration::from_mins(1)).await;
                let mut client = Raw::connect(serving.address).await;
                if is_apart {
                    client.say(call).await;
                    begun.notified().await;
                    client.say("GET /aga").await;
                    sockets_seen().await;
                } else {
                    client.say(format!("{call}GET /aga")).await;
                    begun.notified().await;
                }
                // The call itself takes as long as it takes.
                tokio::time::sleep(PATIENCE * 2).await;
                end.notify_one();
                client.until("done").await;
                let waits = Instant::now();
                assert_eq!(client.closed().await, "");
                let took = waits.elapsed();
                assert!(took + Duration::from_millis(20) > PATIENCE, "{took:?}");
                assert!(took < PATIENCE * 10, "{took:?}");
                serving.figure(ListenFigures::slow_heads, 1).await;
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_whole_request_behind_a_call_is_answered_and_then_idle_is_no_slow_head() {
    for call in CALLS {
        for parts in [vec![format!("{call}{call}")], vec![call.to_owned(); 2]] {
            within(async {
                let idle = Duration::from_millis(400);
                let (serving, begun, end) = held_calls(Duration::from_millis(60), idle).await;
                let mut client = Raw::connect(serving.address).await;
                for part in parts {
                    client.say(part).await;
                    sockets_seen().await;
                }
                for _ in 0..2 {
                    begun.notified().await;
                    end.notify_one();
                    client.until("done").await;
                }
                let waits = Instant::now();
                client.closed().await;
                let took = waits.elapsed();
                assert!(took + Duration::from_millis(20) > idle, "{took:?}");
                assert_eq!(serving.figures.slow_heads(), 0);
            })
            .await;
        }
    }
}
