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
use crate::sights::Sight;

/// The longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// The longest that any answer is waited for; calls wait shorter, by a deadline of their own.
const ANSWER: Duration = Duration::from_secs(5);

/// Seconds that it is kept who waits for a response: OpenAI forgets them sooner.
const KEPT: u64 = 48 * 3_600;
/// Sights that are fetched at once; the others come with the next beat.
const MOST_SIGHTS: usize = 256;

/// A store that answers.
pub(crate) struct Store {
    connection: Connection,
    total: Script,
    presence: Script,
    prefix: String,
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
            prefix: settings.prefix.clone(),
            replicas: key::replicas(&settings.prefix),
            replica: replica.to_owned(),
            missing: u64::try_from(settings.times.missing.as_millis()).unwrap_or(u64::MAX),
        })
    }

    /// Sends all of these at once, and gives each its answer, in their order. May be dropped before they have come: the
    /// connection then reads and forgets them.
    pub(crate) async fn send(&self, messages: &[Message<'_>]) -> Result<Vec<Answer>, StoreError> {
        let saying = messages.iter().map(|message| async {
            let mut connection = self.connection.clone();
            let invocation = message.invocation(&self.total);
            let reply: Value = invocation.invoke_async(&mut connection).await?;
            Ok(message.read(reply)?)
        });
        join_all(saying).await.into_iter().collect()
    }

    /// Says that this replica waits for these responses.
    pub(crate) async fn awaits(&self, awaited: &[Box<str>]) -> Result<(), StoreError> {
        let saying = awaited.iter().map(|id| async {
            let mut connection = self.connection.clone();
            let key = key::awaited(&self.prefix, id);
            let mut command = redis::cmd("SET");
            command.arg(key).arg(&self.replica).arg("EX").arg(KEPT);
            command.query_async::<()>(&mut connection).await
        });
        join_all(saying)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        Ok(())
    }

    /// Passes on what was seen to whoever waits for it. Who waits is forgotten last, and in no step with the rest, as the
    /// two may be on different nodes: a connection that breaks between makes a sight come twice, never lost.
    pub(crate) async fn pass_on(&self, seen: &[Sight]) -> Result<(), StoreError> {
        let saying = seen.iter().map(|sight| async {
            let mut connection = self.connection.clone();
            let awaited = key::awaited(&self.prefix, &sight.response_id);
            let mut get = redis::cmd("GET");
            let who: Option<String> = get.arg(&awaited).query_async(&mut connection).await?;
            let Some(who) = who else {
                return Ok(());
            };
            // If it is this replica, it saw it and has settled it.
            if who != self.replica {
                let key = key::sights(&self.prefix, &who);
                let mut push = redis::pipe();
                push.cmd("RPUSH").arg(&key).arg(&sight.text).ignore();
                push.cmd("EXPIRE").arg(&key).arg(KEPT).ignore();
                push.query_async::<()>(&mut connection).await?;
            }
            let mut forget = redis::cmd("DEL");
            forget.arg(&awaited).query_async(&mut connection).await
        });
        join_all(saying)
            .await
            .into_iter()
            .collect::<Result<(), _>>()?;
        Ok(())
    }

    /// What others saw of the responses that this replica waits for. It stays in the store until it is forgotten.
    pub(crate) async fn sights(&self) -> Result<Vec<String>, StoreError> {
        let mut connection = self.connection.clone();
        let mut command = redis::cmd("LRANGE");
        let key = key::sights(&self.prefix, &self.replica);
        command.arg(key).arg(0).arg(MOST_SIGHTS - 1);
        Ok(command.query_async(&mut connection).await?)
    }

    /// These were received. By what they say, not by their places: it may be late, and others be first by then.
    pub(crate) async fn forget_sights(&self, texts: &[String]) -> Result<(), StoreError> {
        if texts.is_empty() {
            return Ok(());
        }
        let mut connection = self.connection.clone();
        let key = key::sights(&self.prefix, &self.replica);
        let mut remove = redis::pipe();
        for text in texts {
            remove.cmd("LREM").arg(&key).arg(1).arg(text).ignore();
        }
        Ok(remove.query_async(&mut connection).await?)
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
