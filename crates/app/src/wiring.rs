//! From the configuration to the parts that run: the only place that knows both.

use std::sync::Arc;

use bytes::Bytes;
use ledger::LedgerSettings;
use meter::{Offer, Rules};
use net::{
    ConnectSettings, ConnectSettingsError, ListenSettings, ProxySettings, Scheme, TlsIdentity,
    Upstream,
};
use proxy::{Connector, Settings};

use crate::config::{Config, Loaded, Secret};

/// The answer over the connection limit, in OpenAI's error shape; SDKs wait and try again.
const OVERLOADED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n\
    content-length: 191\r\nretry-after: 1\r\nconnection: close\r\n\r\n\
    {\"error\":{\"message\":\"tollfree has as many connections open as it may. help: raise listener.most_connections, or \
    call again later\",\"type\":\"tollfree_upstream\",\"param\":null,\"code\":\"overloaded\"}}";

/// What holds now, from a configuration without mistakes.
pub(crate) fn rules(config: &Config, offer: &Arc<Offer>) -> Rules {
    Rules::new(
        Arc::clone(offer),
        config.offer.after_crossing,
        config.terms.clone(),
        config.organizations.clone(),
    )
}

/// Everything a proxy is made of, or a reload puts in place.
pub(crate) struct Parts {
    pub(crate) settings: Settings,
    pub(crate) rules: Rules,
    pub(crate) connector: Connector,
}

/// Makes the parts.
///
/// # Errors
/// An upstream, a root file or a proxy that cannot be used.
pub(crate) fn parts(loaded: &Loaded) -> Result<Parts, ConnectSettingsError> {
    Ok(Parts {
        settings: settings(&loaded.config),
        rules: rules(&loaded.config, &loaded.offer),
        connector: Connector::new(connect(&loaded.config))?,
    })
}

fn settings(config: &Config) -> Settings {
    let limits = &config.limits;
    Settings {
        ask_for_usage: config.streams.ask_for_usage,
        request_inspect_bytes: limits.request_inspect_bytes,
        request_inspect_total: limits.request_inspect_total,
        request_inspect_time: limits.request_inspect_time,
        held_answer_bytes: limits.held_answer_bytes,
        held_answers_total: limits.held_answers_total,
        held_answer_time: limits.held_answer_time,
        lookup_wait: limits.lookup_wait,
        lookup_waits_total: limits.lookup_waits_total,
        lookup_waits_per_key: limits.lookup_waits_per_key,
    }
}

fn connect(config: &Config) -> ConnectSettings {
    let upstream = &config.upstream;
    let said = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let environment = &upstream.environment_proxy;
    ConnectSettings {
        connect_timeout: upstream.connect_timeout,
        idle_timeout: upstream.idle_timeout,
        most_idle: upstream.most_idle,
        extra_roots: upstream.ca_file.clone(),
        proxy: ProxySettings {
            url: said(&upstream.proxy),
            https_proxy: said(&environment.https),
            http_proxy: said(&environment.http),
            all_proxy: said(&environment.all),
            no_proxy: environment.except.clone(),
        },
        ..ConnectSettings::new(Upstream {
            scheme: if upstream.url.https {
                Scheme::Https
            } else {
                Scheme::Http
            },
            host: upstream.url.host.clone(),
            port: upstream.url.port,
        })
    }
}

/// Where and how the ledger is kept; none where it is off.
pub(crate) fn ledger(config: &Config) -> Option<LedgerSettings> {
    let folder = config.data_dir.folder()?;
    Some(LedgerSettings {
        folder: folder.to_owned(),
        durability: config.ledger.durability,
        keep_days: config.ledger.keep_days,
    })
}

/// Where and how the proxy listens.
pub(crate) fn listen(config: &Config) -> ListenSettings {
    let listener = &config.listener;
    ListenSettings {
        tls: listener.tls.as_ref().map(|files| TlsIdentity {
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        }),
        most_connections: listener.most_connections,
        tls_handshake: listener.tls_handshake,
        head_timeout: listener.head_timeout,
        idle_timeout: listener.idle_timeout,
        write_stall: listener.write_stall,
        most_head_bytes: listener.most_head_bytes,
        most_headers: listener.most_headers,
        overload_answer: Bytes::from_static(OVERLOADED.as_bytes()),
        ..ListenSettings::new(config.listen)
    }
}

#[cfg(test)]
mod tests {
    use super::OVERLOADED;

    #[test]
    fn the_overload_answer_is_as_long_as_it_says() {
        let (head, body) = OVERLOADED.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("content-length: {}\r\n", body.len())),
            "{}",
            body.len()
        );
    }
}
