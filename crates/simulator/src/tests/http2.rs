//! The simulator over HTTP/2 without TLS: the same answers without the framing of HTTP/1.1.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::TcpStream;

use super::{ACME, settings, start};

#[tokio::test]
async fn many_streams_on_one_connection() {
    let simulator = start(settings()).await;
    let stream = TcpStream::connect(simulator.address()).await.unwrap();
    let handshake = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection): (http2::SendRequest<Full<Bytes>>, _) = handshake.unwrap();
    tokio::spawn(connection);
    let calls = (0..10).map(|number| {
        let mut sender = sender.clone();
        let body = json!({
            "model": "gpt-5", "stream": true, "input": format!("[tokens in={number} out=3]"),
        });
        let request = Request::post(format!("http://{}/v1/responses", simulator.address()))
            .header("authorization", format!("Bearer {ACME}"))
            .body(Full::from(body.to_string()))
            .unwrap();
        tokio::spawn(async move { sender.send_request(request).await.unwrap() })
    });
    for (number, call) in calls.collect::<Vec<_>>().into_iter().enumerate() {
        let answer = call.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, Version::HTTP_2)
        );
        assert!(!answer.headers().contains_key("transfer-encoding"));
        assert_eq!(answer.headers().get_all("set-cookie").iter().count(), 2);
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        let total = format!("\"total_tokens\":{}}}", number + 3);
        assert!(text.contains(&total), "{text}");
    }
    assert_eq!((simulator.connections(), simulator.log().len()), (1, 10));
}
