//! Those who are compared, each a process of its own that ends with the comparison, with one worker where its name says
//! nothing else. It must not know what is measured.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failure;
use crate::certificates::{self, NAME};

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
    /// The pass-through with two workers: what the machine has left for a second one.
    WidePassThrough,
    /// tollfree as it is shipped, with two workers.
    WideTollfree,
}

/// What those who are compared stand in front of.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// Bytes of an answer that is no stream.
    pub bytes: usize,
    /// Whether streams are asked for.
    pub streams: bool,
    /// Whether the upstream speaks TLS; [`Side::PassThrough`] does not.
    pub tls: bool,
}

impl Setting {
    /// Answers of so many bytes, in plain text.
    #[must_use]
    pub fn of(bytes: usize) -> Self {
        Self {
            bytes,
            streams: false,
            tls: false,
        }
    }

    /// Starts its upstream; certificates, if any, go into `folder`.
    ///
    /// # Errors
    /// When it does not start.
    pub fn upstream(self, folder: &Path) -> Result<Process, Failure> {
        let bytes = self.bytes.to_string();
        if !self.tls {
            return Process::of_ours(&["upstream", &bytes], 1);
        }
        certificates::make(folder)?;
        Process::of_ours(&["upstream", &bytes, &folder.to_string_lossy()], 1)
    }
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
            Self::WidePassThrough => "hyper pass-through, 2 workers",
            Self::WideTollfree => "tollfree, 2 workers",
        }
    }

    /// Starts it in front of this upstream; what it writes goes into a folder of its own below `folder`.
    ///
    /// # Errors
    /// When the program is missing or does not open its port.
    pub fn start(
        self,
        upstream: &Process,
        setting: Setting,
        folder: &Path,
    ) -> Result<Process, Failure> {
        let own = folder.join(self.name().replace([',', ' '], "-"));
        fs::create_dir_all(&own)?;
        let to = upstream.address;
        let roots = setting.tls.then(|| certificates::root(folder));
        let workers = match self {
            Self::WidePassThrough | Self::WideTollfree => 2,
            _ => 1,
        };
        match self {
            Self::Direct => Ok(Process {
                child: None,
                id: upstream.id,
                address: to,
            }),
            Self::Nginx => nginx(to, setting, roots.as_deref(), &own, "off"),
            Self::LoggingNginx => {
                let log = format!("{} calls", own.join("access.log").display());
                nginx(to, setting, roots.as_deref(), &own, &log)
            }
            Self::PassThrough | Self::WidePassThrough => {
                Process::of_ours(&["pass-through", &to.to_string()], workers)
            }
            Self::Tollfree => tollfree(to, roots.as_deref(), Path::new("off"), workers),
            Self::LedgerTollfree | Self::WideTollfree => {
                tollfree(to, roots.as_deref(), &own, workers)
            }
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
    /// This program in another role with so many workers, which says first where it listens.
    ///
    /// # Errors
    /// When it does not start.
    pub fn of_ours(arguments: &[&str], workers: u8) -> Result<Process, Failure> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(arguments)
            .env("TOKIO_WORKER_THREADS", workers.to_string())
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
fn tollfree(
    upstream: SocketAddr,
    roots: Option<&Path>,
    data: &Path,
    workers: u8,
) -> Result<Process, Failure> {
    let mut command = Command::new(tollfree_program()?);
    if let Some(roots) = roots {
        command.env("TOLLFREE_UPSTREAM_CA_FILE", roots);
    }
    let scheme = if roots.is_some() { "https" } else { "http" };
    let mut child = command
        .env("TOKIO_WORKER_THREADS", workers.to_string())
        .env("TOLLFREE_LISTEN", "127.0.0.1:0")
        .env("TOLLFREE_ADMIN_LISTEN", "127.0.0.1:0")
        .env("TOLLFREE_UPSTREAM", format!("{scheme}://{upstream}"))
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
    setting: Setting,
    roots: Option<&Path>,
    folder: &Path,
    access_log: &str,
) -> Result<Process, Failure> {
    let buffering = if setting.streams { "off" } else { "on" };
    // It looks at the certificate, as tollfree does.
    let (scheme, trust) = roots.map_or(("http", String::new()), |roots| {
        let trust = format!(
            "proxy_ssl_verify on; proxy_ssl_trusted_certificate {}; proxy_ssl_name {NAME};
             proxy_ssl_session_reuse on; proxy_ssl_protocols TLSv1.2 TLSv1.3;",
            roots.display()
        );
        ("https", trust)
    });
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
                     proxy_pass {scheme}://openai; {trust} proxy_http_version 1.1; proxy_set_header Connection \"\";
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
