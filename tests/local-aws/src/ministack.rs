//! MiniStack as a child process: everything of AWS but EC2.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use local_ec2::BASE_IMAGE;
use serde::Serialize;

use crate::prepare;

/// The Region of the local AWS.
pub const REGION: &str = "us-east-1";
/// The account of the local AWS.
pub const ACCOUNT: &str = "000000000000";

/// The file in its folder with all it prints.
pub(crate) const LOG: &str = "log";

const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// The default bus of EventBridge, for what only AWS's own services may send. It is MiniStack's standard
/// input, which is held open for as long as that is to run.
#[derive(Clone, Debug)]
pub struct EventBus(Arc<Mutex<Option<ChildStdin>>>);

impl EventBus {
    /// Sends an event, with the fields of PutEvents.
    pub fn send(&self, event: &impl Serialize) -> Result<()> {
        let line = format!("{}\n", serde_json::to_string(event)?);
        match self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(input) => Ok(input.write_all(line.as_bytes())?),
            None => bail!("MiniStack has ended"),
        }
    }

    fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A running MiniStack; it ends when this is dropped, or when this process ends in whatever way.
#[derive(Debug)]
pub struct MiniStack {
    child: Child,
    event_bus: EventBus,
    port: u16,
    folder: PathBuf,
}

impl MiniStack {
    /// Starts MiniStack on a port (0 for a free one) with waits `speed` times faster than AWS's.
    pub fn start(python: &Path, port: u16, ec2_endpoint: &str, speed: f64) -> Result<Self> {
        let (port, folder, log) = folder_with_log(&prepare::kept(), port)?;
        let endpoint = endpoint(port);
        let mut command = Command::new(python);
        command
            .arg(prepare::ministack().join("start.py"))
            .envs(credentials())
            .env("AWS_ENDPOINT_URL", &endpoint)
            .env("AWS_ENDPOINT_URL_EC2", ec2_endpoint)
            .env("AWS_ENDPOINT_URL_AUTO_SCALING", ec2_endpoint)
            .env("PUBLIC_IMAGE", BASE_IMAGE)
            .env("BIND_HOST", Ipv4Addr::LOCALHOST.to_string())
            .env("GATEWAY_PORT", port.to_string())
            .env("SFN_WAIT_SCALE", (1.0 / speed).to_string())
            .env("SPEED", speed.to_string())
            .env("TMPDIR", &folder)
            .stdin(Stdio::piped())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0);
        let mut child = command.spawn().context("MiniStack could not be started")?;
        let event_bus = EventBus(Arc::new(Mutex::new(child.stdin.take())));
        let mut ministack = Self { child, event_bus, port, folder };
        ministack.wait_until_it_listens()?;
        Ok(ministack)
    }

    /// Where it listens.
    pub fn endpoint(&self) -> String {
        endpoint(self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Where AWS's services send their events.
    pub fn event_bus(&self) -> EventBus {
        self.event_bus.clone()
    }

    /// A folder that goes with it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The process ids of the functions that run.
    pub fn functions(&self) -> Vec<u32> {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let children = tasks.filter_map(|task| fs::read_to_string(task.path().join("children")).ok());
        children.flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()).collect()
    }

    fn wait_until_it_listens(&mut self) -> Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            if self.child.try_wait()?.is_some() || start.elapsed() > STARTS_WITHIN {
                let mut log = String::new();
                File::open(self.folder.join(LOG))?.read_to_string(&mut log)?;
                let lines: Vec<_> = log.lines().collect();
                bail!("MiniStack did not start:\n{}", lines[lines.len().saturating_sub(10)..].join("\n"));
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

impl Drop for MiniStack {
    fn drop(&mut self) {
        // It ends itself and the functions it started once its standard input is closed.
        self.event_bus.close();
        let _ = self.child.wait();
        // What it removes itself, others of its threads may still have written to.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn endpoint(port: u16) -> String {
    format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// The credentials and the Region that any client of the local AWS may use.
pub fn credentials() -> [(&'static str, &'static str); 4] {
    [
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_DEFAULT_REGION", REGION),
        ("AWS_REGION", REGION),
    ]
}

const FOLDER: &str = "ministack-";

/// A port, and a new folder for a MiniStack that is to listen there, with its log. MiniStack holds the lock of the log, which is its output, until
/// it has ended in whatever way: the folders whose log nobody holds are of killed ones, and are removed.
fn folder_with_log(kept: &Path, port: u16) -> Result<(u16, PathBuf, File)> {
    // Until the log is locked, another start would take the folder for a killed one's.
    let starting = File::create(kept.join("ministack.lock"))?;
    starting.lock()?;
    for entry in fs::read_dir(kept)?.flatten() {
        let is_one = entry.file_name().to_string_lossy().starts_with(FOLDER) && entry.path().is_dir();
        if is_one && !is_in_use(&entry.path()) {
            // A MiniStack whose runner was killed removes it, too.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder_of = |port: u16| kept.join(format!("{FOLDER}{port}"));
    let port = claim(port, |port| folder_of(port).exists())?;
    let folder = folder_of(port);
    fs::create_dir_all(&folder)?;
    let log = File::create(folder.join(LOG))?;
    log.lock()?;
    Ok((port, folder, log))
}

/// Whether a MiniStack runs with this folder.
pub(crate) fn is_in_use(folder: &Path) -> bool {
    match File::open(folder.join(LOG)) {
        Ok(log) => log.try_lock().is_err(),
        Err(error) => error.kind() != ErrorKind::NotFound,
    }
}

/// Where the system takes no port by itself for a connection, as it might before MiniStack listens.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that nothing listens on, and no other MiniStack is about to: the one asked for, or any.
fn claim(port: u16, is_claimed: impl Fn(u16) -> bool) -> Result<u16> {
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    let any = || std::iter::repeat_with(|| fastrand::u16(PORTS)).take(1_000);
    match port {
        0 => any().find(|port| !is_claimed(*port) && is_free(*port)).context("no port is free for MiniStack"),
        port if is_free(port) => Ok(port),
        _ => bail!("port {port} is busy: choose another one, or 0 for a free one"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_of_a_killed_one_is_removed_at_the_next_start_and_one_in_use_is_not() -> Result<()> {
        let kept = prepare::kept().join(format!("test-{}", std::process::id()));
        fs::create_dir_all(kept.join("venv"))?;
        let (_, killed, log) = folder_with_log(&kept, 20_001)?;
        let (_, in_use, of_the_runner) = folder_with_log(&kept, 20_002)?;
        drop(log);
        // The runner is killed, and its MiniStack still runs.
        let mut ministack = Command::new("cat").stdin(Stdio::piped()).stdout(of_the_runner).spawn()?;
        fs::create_dir_all(kept.join("ministack-3/packages"))?;
        let (_, new, _log) = folder_with_log(&kept, 20_004)?;
        assert!(!killed.exists() && !kept.join("ministack-3").exists());
        assert!(in_use.exists() && new.exists() && kept.join("venv").exists());
        drop(ministack.stdin.take());
        ministack.wait()?;
        let (_, again, _log) = folder_with_log(&kept, 20_005)?;
        assert!(!in_use.exists() && new.exists() && again.exists());
        Ok(fs::remove_dir_all(kept)?)
    }
}
