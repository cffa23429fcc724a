//! Those who are compared, each a process of its own with one worker that ends with the comparison. It must not know
//! what is measured.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;

/// How long a program may take until its port is open.
const START: Duration = Duration::from_secs(20);

/// Who stands between the load and the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nobody.
    Direct,
    /// nginx without an access log.
    Nginx,
    /// nginx with an access-log line of the fields that a ledger entry has of a head.
    LoggingNginx,
    /// The least a hyper proxy can do.
    PassThrough,
    /// tollfree as it is shipped, without a ledger.
    Tollfree,
    /// tollfree as it is shipped.
    LedgerTollfree,
}

impl Side {
    /// As the tables name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::LoggingNginx => "nginx, access log",
            Self::PassThrough => "hyper pass-through",
            Self::Tollfree => "tollfree, no ledger",
            Self::LedgerTollfree => "tollfree",
        }
    }

    /// Starts it in front of this upstream, for answers that are streams or not; what it writes goes into `folder`.
    ///
    /// # Errors
    /// When the program is missing or does not open its port.
    pub fn start(
        self,
        upstream: &Process,
        streams: bool,
        folder: &Path,
    ) -> Result<Process, Failure> {
        let folder = folder.join(self.name().replace([',', ' '], "-"));
        fs::create_dir_all(&folder)?;
        let to = upstream.address;
        match self {
            Self::Direct => Ok(Process {
                child: None,
                id: upstream.id,
                address: to,
            }),
            Self::Nginx => nginx(to, streams, &folder, "off"),
            Self::LoggingNginx => {
                let log = format!("{} calls", folder.join("access.log").display());
                nginx(to, streams, &folder, &log)
            }
            Self::PassThrough => Process::of_ours(&["pass-through", &to.to_string()]),
            Self::Tollfree => tollfree(to, Path::new("off")),
            Self::LedgerTollfree => tollfree(to, &folder),
        }
    }
}

/// A process of the comparison; ends with it.
pub struct Process {
    child: Option<Child>,
    /// Its number.
    pub id: u32,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Process {
    /// This program in another role, which says first where it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn of_ours(arguments: &[&str]) -> Result<Process, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env("TOKIO_WORKER_THREADS", "1")
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        let output = child.stdout.take().ok_or("no standard output")?;
        BufReader::new(output).read_line(&mut line)?;
        let address = line.trim().parse()?;
        Ok(Self::of(child, address))
    }

    fn of(child: Child, address: SocketAddr) -> Process {
        Process {
            id: child.id(),
            child: Some(child),
            address,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself; either way nothing is left behind.
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// The program as it is shipped, built beside this one.
fn tollfree(upstream: SocketAddr, data: &Path) -> Result<Process, Failure> {
    let program = tollfree_program()?;
    let mut child = Command::new(program)
        .env("TOKIO_WORKER_THREADS", "1")
        .env("TOLLFREE_LISTEN", "127.0.0.1:0")
        .env("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:0")
        .env("TOLLFREE_UPSTREAM", format!("http://{upstream}"))
        .env("TOLLFREE_DATA_DIR", data)
        .env("TOLLFREE_LOG_FORMAT", "json")
        .stderr(Stdio::piped())
        .spawn()?;
    let output = child.stderr.take().ok_or("no standard error")?;
    let mut lines = BufReader::new(output).lines();
    let address = loop {
        let line = lines.next().ok_or("tollfree ended before it listened")??;
        if let Some((_, rest)) = line.split_once("\"address\":\"")
            && let Some((address, _)) = rest.split_once('"')
        {
            break address.parse()?;
        }
    };
    std::thread::spawn(move || lines.for_each(drop));
    Ok(Process::of(child, address))
}

/// Where the program is.
///
/// # Errors
/// When it was not built.
pub fn tollfree_program() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?.with_file_name("tollfree");
    if program.exists() {
        return Ok(program);
    }
    Err("target/release/tollfree is missing. help: cargo build --release".into())
}

/// nginx as one process, with connections to upstream kept, nothing buffered of streams, and no file outside
/// `folder`.
fn nginx(
    upstream: SocketAddr,
    streams: bool,
    folder: &Path,
    access_log: &str,
) -> Result<Process, Failure> {
    let buffering = if streams { "off" } else { "on" };
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let folder = folder.canonicalize()?;
    let at = folder.display();
    let settings = format!(
        "daemon off; master_process off; worker_processes 1; pid {at}/pid; error_log {at}/error.log error;
         events {{ worker_connections 4096; }}
         http {{
             client_body_temp_path {at}/body; proxy_temp_path {at}/proxy; fastcgi_temp_path {at}/fastcgi;
             uwsgi_temp_path {at}/uwsgi; scgi_temp_path {at}/scgi;
             log_format calls '$time_iso8601 $request_id $request_method $uri $status $request_time '
                 '$upstream_header_time $request_length $bytes_sent $http_user_agent $upstream_http_content_type '
                 '$upstream_http_x_request_id $upstream_http_openai_organization $upstream_http_openai_project '
                 '$upstream_http_openai_version $upstream_http_openai_processing_ms';
             access_log {access_log}; keepalive_requests 100000000;
             upstream openai {{ server {upstream}; keepalive 512; keepalive_requests 100000000; }}
             server {{
                 listen {address};
                 location / {{
                     proxy_pass http://openai; proxy_http_version 1.1; proxy_set_header Connection \"\";
                     proxy_buffering {buffering};
                 }}
             }}
         }}"
    );
    let file = folder.join("nginx.conf");
    fs::write(&file, settings)?;
    let child = Command::new("nginx")
        .arg("-p")
        .arg(&folder)
        .arg("-c")
        .arg(&file)
        .spawn()
        .map_err(|error| format!("nginx: {error}. help: apt-get install nginx-light"))?;
    let process = Process::of(child, address);
    let due = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > due {
            return Err("nginx does not listen".into());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(process)
}
