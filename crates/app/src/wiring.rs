//! From the configuration to the parts that run: the only place that knows both.

use std::sync::Arc;

use ledger::LedgerSettings;
use meter::{Offer, Rules};
use net::{
    ConnectSettings, ConnectSettingsError, Connector, ListenSettings, ProxySettings, Scheme,
    TlsIdentity, Upstream,
};
use proxy::Settings;
use share::{ShareSettings, Times};

use crate::config::{Config, Loaded, Secret};

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
        client_gone: config.streams.client_gone,
        comment: config.streams.comment,
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

/// How upstream is reached.
pub(crate) fn connect(config: &Config) -> ConnectSettings {
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

/// Where totals are shared; none where each replica counts for itself.
///
/// # Errors
/// A file of roots that cannot be read.
pub(crate) fn share(config: &Config) -> std::io::Result<Option<ShareSettings>> {
    let Some(url) = &config.share.url else {
        return Ok(None);
    };
    Ok(Some(ShareSettings {
        url: url.expose().to_owned(),
        cluster: config.share.cluster,
        prefix: config.share.prefix.clone(),
        roots: config
            .share
            .ca_file
            .as_ref()
            .map(std::fs::read)
            .transpose()?,
        times: Times::default(),
    }))
}

/// What the listener shows its clients; none where it speaks no TLS.
pub(crate) fn identity(config: &Config) -> Option<TlsIdentity> {
    let files = config.listener.tls.as_ref()?;
    Some(TlsIdentity {
        certificate: files.certificate.clone(),
        key: files.key.clone(),
    })
}

/// Where and how the proxy listens.
pub(crate) fn listen(config: &Config) -> ListenSettings {
    let listener = &config.listener;
    ListenSettings {
        tls: identity(config),
        most_connections: listener.most_connections,
        tls_handshake: listener.tls_handshake,
        head_timeout: listener.head_timeout,
        idle_timeout: listener.idle_timeout,
        write_stall: listener.write_stall,
        read_stall: listener.read_stall,
        most_head_bytes: listener.most_head_bytes,
        most_headers: listener.most_headers,
        refusal: proxy::unserved,
        ..ListenSettings::new(config.listen)
    }
}
