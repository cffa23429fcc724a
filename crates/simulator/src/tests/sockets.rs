//! Responses and realtime sessions on a WebSocket, as a client sees them.

use std::net::SocketAddr;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{ACME, settings, start, until};

/// The handshake of RFC 6455, 1.3, by its own example key.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPTED: &str = "sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// An open WebSocket.
struct Socket(TcpStream);

/// Asks for a WebSocket and gives the head of the answer.
async fn ask(address: SocketAddr, target: &str, more: &str) -> (String, Socket) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "GET {target} HTTP/1.1\r\nhost: simulator\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n{more}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(stream.read_u8().await.unwrap());
    }
    (String::from_utf8(answer).unwrap(), Socket(stream))
}

async fn open(address: SocketAddr, target: &str) -> Socket {
    let key = format!("authorization: Bearer {ACME}\r\n");
    let (head, socket) = ask(address, target, &key).await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains(ACCEPTED),
        "{head}"
    );
    assert!(
        head.contains("openai-organization: acme") && !head.contains("\r\ncontent-type:"),
        "{head}"
    );
    socket
}

impl Socket {
    async fn write(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 0xfe];
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        let mask = [1, 2, 3, 4];
        frame.extend(mask);
        frame.extend(
            payload
                .iter()
                .zip(mask.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
        self.0.write_all(&frame).await.unwrap();
    }

    async fn say(&mut self, message: Value) {
        self.write(0x81, message.to_string().as_bytes()).await;
    }

    /// The next frame; `None` at the end of the connection.
    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let first = self.0.read_u8().await.ok()?;
        let length = match self.0.read_u8().await.unwrap() {
            126 => u64::from(self.0.read_u16().await.unwrap()),
            127 => self.0.read_u64().await.unwrap(),
            length => u64::from(length),
        };
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.0.read_exact(&mut payload).await.unwrap();
        Some((first, payload))
    }

    async fn hear(&mut self) -> Value {
        let (first, payload) = self.frame().await.unwrap();
        assert_eq!(first, 0x81);
        serde_json::from_slice(&payload).unwrap()
    }

    async fn hear_until(&mut self, name: &str) -> Value {
        loop {
            let event = self.hear().await;
            if event["type"] == name {
                return event;
            }
        }
    }
}

fn create(text: &str, lane: Option<&str>) -> Value {
    let mut create = json!({"type": "response.create", "model": "gpt-5", "input": text});
    if let Some(lane) = lane {
        create["stream_id"] = json!(lane);
    }
    create
}

#[tokio::test]
async fn lanes_come_side_by_side_and_each_response_is_billed() {
    let simulator = start(settings()).await;
    let mut socket = open(simulator.address(), "/v1/responses").await;
    socket
        .say(create("[tokens in=2 out=3] [delay 600000]", Some("slow")))
        .await;
    for round in 1..=2 {
        socket
            .say(create("[tokens in=4 out=5]", Some("quick")))
            .await;
        let created = socket.hear().await;
        assert_eq!(
            (&created["type"], &created["stream_id"]),
            (&json!("response.created"), &json!("quick"))
        );
        let done = socket.hear_until("response.completed").await;
        assert_eq!(done["response"]["id"], created["response"]["id"]);
        assert_eq!(done["response"]["usage"]["total_tokens"], 9);
        assert_eq!(done["stream_id"], "quick");
        assert_eq!(simulator.log().len(), round);
    }
    let log = simulator.log();
    assert_eq!(
        (log[1].endpoint.as_str(), log[1].tokens(), log[1].complete),
        ("/v1/responses", 9, true)
    );
    assert_ne!(log[0].response_id, log[1].response_id);
}

#[tokio::test]
async fn refusals_and_failures_are_events() {
    let simulator = start(settings()).await;
    let mut socket = open(simulator.address(), "/v1/responses").await;
    socket
        .say(json!({"type": "response.create", "model": "gpt-9", "input": "x", "stream_id": "a"}))
        .await;
    let error = socket.hear().await;
    assert_eq!(
        (&error["status"], &error["stream_id"]),
        (&json!(400), &json!("a"))
    );
    assert_eq!(error["error"]["code"], "model_not_found");
    socket.say(create("[error mid-stream]", None)).await;
    let error = socket.hear_until("error").await;
    assert_eq!(error["status"], Value::Null);
    let failed = socket.hear().await;
    assert_eq!(failed["response"]["usage"], Value::Null);
    socket.say(json!({"type": "response.unheard_of"})).await;
    assert_eq!(socket.hear_until("error").await["status"], 400);
}

#[tokio::test]
async fn a_session_can_break_and_bills_what_was_generated() {
    let simulator = start(settings()).await;
    for word in ["[break]", "[truncate]"] {
        let mut socket = open(simulator.address(), "/v1/responses").await;
        socket
            .say(create(
                &format!("{word} [tokens in=2 out=100] [chunks 50]"),
                None,
            ))
            .await;
        while socket.frame().await.is_some() {}
    }
    let mut socket = open(simulator.address(), "/v1/realtime?model=gpt-realtime").await;
    say_to_realtime(&mut socket, "[break] [tokens in=2 out=100]").await;
    while socket.frame().await.is_some() {}
    until(async || simulator.log().len() == 3).await;
    assert!(
        simulator
            .log()
            .iter()
            .all(|entry| !entry.complete && entry.output_tokens < 100)
    );
}

#[tokio::test]
async fn a_client_that_leaves_is_billed_for_what_was_generated() {
    let mut settings = settings();
    settings.chunk_interval = std::time::Duration::from_millis(1);
    let simulator = start(settings).await;
    let mut socket = open(simulator.address(), "/v1/responses").await;
    socket
        .say(create(
            "[chunks 5000] [bytes 100000] [tokens in=2 out=100000]",
            None,
        ))
        .await;
    socket.hear_until("response.output_text.delta").await;
    drop(socket);
    until(async || simulator.log().len() == 1).await;
    assert!(simulator.log()[0].output_tokens < 100_000);
}

async fn say_to_realtime(socket: &mut Socket, text: &str) {
    let item = json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]});
    socket
        .say(json!({"type": "conversation.item.create", "item": item}))
        .await;
    socket.say(json!({"type": "response.create"})).await;
}

#[tokio::test]
async fn a_realtime_session_names_its_models_once() {
    let simulator = start(settings()).await;
    let mut socket = open(simulator.address(), "/v1/realtime?model=gpt-realtime").await;
    assert_eq!(socket.hear().await["session"]["model"], "gpt-realtime");
    let transcription =
        json!({"audio": {"input": {"transcription": {"model": "gpt-4o-mini-transcribe"}}}});
    socket
        .say(json!({"type": "session.update", "session": transcription}))
        .await;
    let updated = socket.hear().await;
    assert_eq!(updated["session"]["audio"], transcription["audio"]);
    socket
        .say(json!({"type": "input_audio_buffer.commit"}))
        .await;
    let written = socket
        .hear_until("conversation.item.input_audio_transcription.completed")
        .await;
    assert_eq!(written["usage"]["total_tokens"], 30);
    say_to_realtime(&mut socket, "[tokens in=16 out=63 cached=4]").await;
    let done = socket.hear_until("response.done").await;
    assert_eq!(
        done["response"]["usage"]["input_token_details"]["cached_tokens"],
        4
    );
    assert_eq!(done["response"]["model"], Value::Null);
    let log = simulator.log();
    let billed: Vec<_> = log
        .iter()
        .map(|entry| (entry.model.as_str(), entry.tokens()))
        .collect();
    assert_eq!(
        billed,
        [("gpt-4o-mini-transcribe", 30), ("gpt-realtime", 79)]
    );
}

#[tokio::test]
async fn pings_are_answered_and_a_goodbye_too() {
    let simulator = start(settings()).await;
    let mut socket = open(simulator.address(), "/v1/responses").await;
    socket.write(0x89, b"there?").await;
    assert_eq!(socket.frame().await, Some((0x8a, b"there?".to_vec())));
    socket.write(0x01, br#"{"type":"resp"#).await;
    socket
        .write(0x80, br#"onse.create","model":"gpt-5","input":"x"}"#)
        .await;
    socket.hear_until("response.completed").await;
    socket.write(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(
        socket.frame().await,
        Some((0x88, 1000_u16.to_be_bytes().to_vec()))
    );
    assert_eq!(socket.frame().await, None);
}

#[tokio::test]
async fn who_may_not_gets_an_answer_and_no_socket() {
    let simulator = start(settings()).await;
    let at = simulator.address();
    let (head, _) = ask(
        at,
        "/v1/responses",
        "authorization: Bearer sk-wrong-key\r\n",
    )
    .await;
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    let key = format!("authorization: Bearer {ACME}\r\n");
    let (head, _) = ask(at, "/v1/realtime", &key).await;
    assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
    let protocols = format!("sec-websocket-protocol: realtime, openai-insecure-api-key.{ACME}\r\n");
    let (head, _) = ask(at, "/v1/realtime?model=gpt-realtime", &protocols).await;
    assert!(
        head.starts_with("HTTP/1.1 101 ") && head.contains("sec-websocket-protocol: realtime\r\n"),
        "{head}"
    );
}

#[tokio::test]
async fn stopping_ends_a_session() {
    let simulator = start(settings()).await;
    let mut socket = open(simulator.address(), "/v1/responses").await;
    simulator.stop().await;
    assert_eq!(socket.frame().await, None);
}
