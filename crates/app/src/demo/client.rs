//! The demo's client: an ordinary program that calls the proxy over a socket and reads the verdicts. Knows
//! nothing of how they come about.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, Request};
use http_body_util::BodyExt;
use net::{ConnectSettings, ConnectSettingsError, Connector, Scheme, SendError, Upstream};
use serde::Deserialize;

use super::plan::Planned;

/// The key of the simulated organization.
const KEY: &str = "Bearer sk-sim-acme";

/// What a client learned of its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Learned {
    /// OpenAI's `x-request-id`, by which its bill names the call.
    pub(super) request_id: String,
    pub(super) tags: Tags,
}

/// The look-up's answer, as far as the demo shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Tags {
    pub(super) verdict: String,
    pub(super) reason: String,
    pub(super) model: Option<String>,
    pub(super) group: Option<String>,
    pub(super) tokens: Option<u64>,
    pub(super) allowance_tokens: Option<u64>,
}

/// Why a call taught nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    #[error("the call got no answer")]
    Sent(#[from] SendError),
    #[error("the call is no request")]
    Request(#[from] http::Error),
    #[error("the answer broke off")]
    Broke,
    #[error("the answer has no {0}")]
    NoHeader(&'static str),
    #[error("the look-up answered what is no verdict")]
    Lookup(#[from] serde_json::Error),
}

/// A client of one proxy.
pub(super) struct Client {
    connector: Connector,
}

impl Client {
    /// A client that calls this port of the loopback.
    pub(super) fn new(port: u16) -> Result<Client, ConnectSettingsError> {
        let upstream = Upstream {
            scheme: Scheme::Http,
            host: "127.0.0.1".to_owned(),
            port,
        };
        let connector = Connector::new(ConnectSettings::new(upstream))?;
        Ok(Client { connector })
    }

    /// Makes the call, reads its answer to the end, and looks its final verdict up.
    pub(super) async fn call(&self, planned: &Planned) -> Result<Learned, CallError> {
        let (path, body) = planned.request();
        let request = Request::post(path).header(CONTENT_TYPE, "application/json");
        let (headers, _) = self.exchange(request, body).await?;
        let call = header(&headers, proxy::CALL_HEADER)?;
        let request = Request::get(format!("/v1/_tollfree/calls/{call}"));
        let (_, answer) = self.exchange(request, String::new()).await?;
        Ok(Learned {
            request_id: header(&headers, "x-request-id")?,
            tags: serde_json::from_slice(&answer)?,
        })
    }

    async fn exchange(
        &self,
        request: http::request::Builder,
        body: String,
    ) -> Result<(HeaderMap, bytes::Bytes), CallError> {
        let length = body.len();
        let request = request
            .header(AUTHORIZATION, KEY)
            .header("content-length", length)
            .body(body)?;
        let (head, body) = self.connector.send(request).await?.into_parts();
        let body = body.collect().await.map_err(|_| CallError::Broke)?;
        Ok((head.headers, body.to_bytes()))
    }
}

fn header(headers: &HeaderMap, name: &'static str) -> Result<String, CallError> {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.map(str::to_owned).ok_or(CallError::NoHeader(name))
}
