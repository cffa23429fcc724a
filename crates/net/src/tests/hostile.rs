//! Upstreams without an end, and ourselves as our own client.

use std::sync::Arc;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;

use super::{Raw, Serving, connector, listener, post, sending, text, upstream, within};
use crate::origins::{Ends, Origins};
use crate::{ConnectSettings, Scheme, Upstream};

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
