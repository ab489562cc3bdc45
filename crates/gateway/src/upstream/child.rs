//! A target system as a child process.

use std::{
    fmt::Write as _,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, BufReader},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
};

/// How to start a target system.
#[derive(Clone)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub args: Vec<String>,
    /// Its environment, secrets included. Of this process's own environment the child sees only what a program needs to
    /// start at all (search path, home, language, temporary directory).
    pub env: Vec<(String, String)>,
}

impl Launch {
    /// Starts it: the child, killed when dropped, its pipes, and what it says on stderr.
    pub(super) fn start(&self) -> Result<(Child, (ChildStdout, ChildStdin), Tail), String> {
        let program = self.program.display();
        let mut child = self
            .command()
            .spawn()
            .map_err(|e| format!("cannot start `{program}`: {e}"))?;
        let pipes = (child.stdout.take(), child.stdin.take(), child.stderr.take());
        let (Some(stdout), Some(stdin), Some(stderr)) = pipes else {
            return Err(format!("`{program}` was started without pipes"));
        };
        Ok((child, (stdout, stdin), Tail::follow(stderr)))
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(&self.args)
            .env_clear()
            .envs(
                INHERITED
                    .iter()
                    .filter_map(|name| Some((name, std::env::var_os(name)?))),
            )
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        command
    }
}

/// What the child wrote last to its stderr: the reason for its death, where it gave one.
#[derive(Clone, Default)]
pub(super) struct Tail(Arc<Mutex<String>>);

impl Tail {
    fn follow(stderr: ChildStderr) -> Self {
        let tail = Self::default();
        let kept = tail.clone();
        tokio::spawn(async move {
            let mut stderr = BufReader::new(stderr);
            let mut chunk = [0; 512];
            while let Ok(n @ 1..) = stderr.read(&mut chunk).await {
                let mut text = kept.0.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&String::from_utf8_lossy(&chunk[..n]));
                let surplus = text.len().saturating_sub(TAIL_BYTES);
                let start = (surplus..=text.len()).find(|&i| text.is_char_boundary(i));
                text.drain(..start.unwrap_or_default());
            }
        });
        tail
    }

    /// Ready to be put at the end of a message; empty where the child said nothing.
    pub(super) async fn quote(&self) -> String {
        // The last words of a dying child may still be in the pipe.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let text = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut quote = String::new();
        if !text.trim().is_empty() {
            let _ = write!(quote, "; it said: {}", text.trim());
        }
        quote
    }
}

/// What a child may see of our own environment: nothing that is commonly a secret.
pub(super) const INHERITED: [&str; 7] = [
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "SYSTEMROOT",
];

const TAIL_BYTES: usize = 2_048;
