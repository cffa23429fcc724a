//! Upstreams without an end, and ourselves as our own client.

use super::{Raw, connector, post, sending, text, upstream, within};

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
async fn our_own_end_of_a_connection_is_known_while_it_is_open() {
    within(async {
        let (listener, settings) = upstream().await;
        let connector = connector(settings);
        let answer = sending(&connector, post("/", "one"));
        let (stream, ours) = listener.accept().await.unwrap();
        let mut far = Raw::over(stream);
        far.until("one").await;
        assert!(connector.calls_from(ours));
        assert!(!connector.calls_from(listener.local_addr().unwrap()));
        far.say(OK.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n"))
            .await;
        assert_eq!(text(answer.await.unwrap().unwrap()).await, "ok");
        assert!(!connector.calls_from(ours));
    })
    .await;
}
