//! The connection to the store: opened, spoken over, given up. Must not know totals.

use std::time::Duration;

use futures_util::future::join_all;
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, Cmd, Pipeline, RedisFuture, RedisResult, Script,
    TlsCertificates, Value,
};

use crate::ShareSettings;
use crate::key;
use crate::message::{self, Answer, Message, Odd};

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest that any answer is waited for; calls wait shorter, by a deadline of their own.
const ANSWER: Duration = Duration::from_secs(5);

/// A store that answers.
pub(crate) struct Store {
    connection: Connection,
    total: Script,
    presence: Script,
    replicas: String,
    replica: String,
    /// Milliseconds after which a replica is missing.
    missing: u64,
}

#[derive(Clone)]
enum Connection {
    One(MultiplexedConnection),
    Many(ClusterConnection),
}

/// The store cannot be had, or no longer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("no connection")]
    Connect(#[source] redis::RedisError),
    #[error("no answer")]
    Answer(#[from] redis::RedisError),
    #[error(transparent)]
    Odd(#[from] Odd),
    #[error("no answer in time")]
    Late,
}

impl Store {
    /// Opens a connection. Scripts are loaded with the first call of each.
    pub(crate) async fn connect(
        settings: &ShareSettings,
        replica: &str,
    ) -> Result<Store, StoreError> {
        let connection = connection(settings).await.map_err(StoreError::Connect)?;
        Ok(Store {
            connection,
            total: message::script(),
            presence: message::presence(),
            replicas: key::replicas(&settings.prefix),
            replica: replica.to_owned(),
            missing: u64::try_from(settings.times.missing.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Says all of these at once, and gives each its answer, in their order.
    pub(crate) async fn say(&self, messages: &[Message<'_>]) -> Result<Vec<Answer>, StoreError> {
        let saying = messages.iter().map(|message| async {
            let mut connection = self.connection.clone();
            let invocation = message.invocation(&self.total);
            let reply: Value = invocation.invoke_async(&mut connection).await?;
            Ok(message.read(reply)?)
        });
        join_all(saying).await.into_iter().collect()
    }

    /// Says that this replica is here, or leaves; answers how many are here and how many are missing.
    pub(crate) async fn present(&self, leaves: bool) -> Result<(u64, u64), StoreError> {
        let mut connection = self.connection.clone();
        let mut invocation = self.presence.prepare_invoke();
        invocation
            .key(&self.replicas)
            .arg(&self.replica)
            .arg(self.missing)
            .arg(u8::from(leaves));
        Ok(invocation.invoke_async(&mut connection).await?)
    }
}

async fn connection(settings: &ShareSettings) -> RedisResult<Connection> {
    let roots = || TlsCertificates {
        client_tls: None,
        root_cert: settings.roots.clone(),
    };
    let url = settings.url.as_str();
    if settings.cluster {
        let mut builder = ClusterClient::builder([url])
            .connection_timeout(CONNECT)
            .response_timeout(ANSWER);
        if settings.roots.is_some() {
            builder = builder.certs(roots());
        }
        let connection = builder.build()?.get_async_connection().await?;
        return Ok(Connection::Many(connection));
    }
    let client = match settings.roots {
        Some(_) => Client::build_with_tls(url, roots())?,
        None => Client::open(url)?,
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(CONNECT))
        .set_response_timeout(Some(ANSWER));
    let connection = client
        .get_multiplexed_async_connection_with_config(&config)
        .await?;
    Ok(Connection::One(connection))
}

impl ConnectionLike for Connection {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Connection::One(one) => one.req_packed_command(command),
            Connection::Many(many) => many.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Connection::One(one) => one.req_packed_commands(commands, offset, count),
            Connection::Many(many) => many.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Connection::One(one) => one.get_db(),
            Connection::Many(many) => many.get_db(),
        }
    }
}
