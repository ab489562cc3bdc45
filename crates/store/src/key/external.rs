//! A signer that is another program: one that speaks to a security module, an agent or a colleague's machine.
//!
//! The program gets the exact bytes to sign on standard input, and prints the Ed25519 signature on standard output: 64
//! bytes, or their base64. Its answer is believed only as far as the signature verifies.

use std::io::{Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ledger::note::{NoteError, Signature, check_text};
use ledger::{Sign, Verifier};
use rustix::process::{Pid, Signal, kill_process_group};
use serde::{Deserialize, Serialize};

use crate::StoreError;

/// Bytes of an answer, or of a complaint, that are read at most.
const MOST: u64 = 4_096;
/// Letters of a complaint that are passed on.
const COMPLAINT: usize = 300;
/// How often it is looked whether the program has ended.
const LOOK: Duration = Duration::from_millis(2);

/// What `signer.toml` of a data directory says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerConfig {
    /// The verifier key of what signs; its name is the log's origin.
    pub vkey: String,
    /// The program and its arguments. Other users of the machine can see them while it runs: no secret belongs here.
    pub command: Vec<String>,
    /// How long it may take over one signature; it is killed then.
    #[serde(default = "ten")]
    pub timeout_seconds: u64,
}

fn ten() -> u64 {
    10
}

/// The signer that a [`SignerConfig`] describes.
#[derive(Debug)]
pub(crate) struct External {
    verifier: Verifier,
    command: Vec<String>,
    timeout: Duration,
}

impl External {
    /// A signer for the log of this origin. Nothing is run yet.
    ///
    /// # Errors
    /// [`StoreError::Key`] where the key is not of the origin, or no command or time is given.
    pub(crate) fn new(config: &SignerConfig, origin: &str) -> Result<Self, StoreError> {
        let refuse = |why: String| StoreError::Key(format!("the external signer: {why}"));
        let verifier =
            Verifier::from_vkey(config.vkey.trim()).map_err(|why| refuse(why.to_string()))?;
        if verifier.name() != origin {
            return Err(refuse(format!(
                "its key is named `{}`, and the log `{origin}`",
                verifier.name()
            )));
        }
        if config.command.is_empty() || config.timeout_seconds == 0 {
            return Err(refuse(
                "it needs a command, and a time-out of at least a second".to_owned(),
            ));
        }
        Ok(Self {
            verifier,
            command: config.command.clone(),
            timeout: Duration::from_secs(config.timeout_seconds),
        })
    }

    /// Has it sign a text that is neither checkpoint nor statement, to see that it answers with the right key.
    pub(crate) fn try_out(&self) -> Result<(), StoreError> {
        let text = format!("counterfoil signer trial\n{}\n", self.verifier.name());
        let tried = self.sign_text(&text);
        let refuse = |why| StoreError::Key(format!("tried out, {why}; nothing was changed"));
        tried.map(|_| ()).map_err(refuse)
    }

    fn run(&self, text: &str) -> Result<Vec<u8>, String> {
        let mut child = Command::new(&self.command[0])
            .args(&self.command[1..])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own, so that what it starts ends with it.
            .process_group(0)
            .spawn()
            .map_err(|why| format!("cannot be started (`{}`): {why}", self.command[0]))?;
        let answer = self.converse(&mut child, text);
        // Only while it is known to be there: its number may be another's afterwards.
        if let Ok(None) = child.try_wait() {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
        }
        answer
    }

    fn converse(&self, child: &mut Child, text: &str) -> Result<Vec<u8>, String> {
        let end = Instant::now() + self.timeout;
        let late = || format!("did not answer within {} s", self.timeout.as_secs());
        let (stdin, stdout, stderr) =
            (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (output, complaint) = (listen(stdout), listen(stderr));
        if let Some(mut stdin) = stdin {
            let text = text.to_owned();
            // A program that does not read must not hold this one up. One that closes its input early has its reasons.
            std::thread::spawn(move || stdin.write_all(text.as_bytes()));
        }
        let status = loop {
            match child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() >= end => return Err(late()),
                Ok(None) => std::thread::sleep(LOOK),
                Err(why) => return Err(format!("cannot be waited for: {why}")),
            }
        };
        let left = || end.saturating_duration_since(Instant::now());
        if !status.success() {
            let said = complaint.recv_timeout(left()).unwrap_or_default();
            return Err(format!("failed ({status}){}", said_shortly(&said)));
        }
        output.recv_timeout(left()).map_err(|_| late())
    }
}

impl Sign for External {
    fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    fn sign_text(&self, text: &str) -> Result<Signature, NoteError> {
        check_text(text)?;
        let fail = |why: String| NoteError::Signer {
            name: self.verifier.name().to_owned(),
            why,
        };
        let answer = self.run(text).map_err(fail)?;
        let bytes = signature(&answer).ok_or_else(|| {
            fail(format!(
                "answered with {} bytes that are no Ed25519 signature (64 bytes, or their base64)",
                answer.len()
            ))
        })?;
        let signature = Signature {
            name: self.verifier.name().to_owned(),
            id: self.verifier.id(),
            bytes,
        };
        self.verifier.verify(text, &signature).map_err(|_| {
            fail(format!(
                "answered with a signature that is not that of `{}` over what it was given",
                self.verifier
            ))
        })?;
        Ok(signature)
    }
}

/// Reads a stream aside, up to [`MOST`] bytes.
fn listen(stream: Option<impl Read + Send + 'static>) -> mpsc::Receiver<Vec<u8>> {
    let (send, heard) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stream) = stream {
            // What was read before an error is as good as an answer cut short: the signature will not verify.
            let _ = stream.take(MOST).read_to_end(&mut bytes);
        }
        // Nobody waits any more after a time-out.
        let _ = send.send(bytes);
    });
    heard
}

fn signature(answer: &[u8]) -> Option<Vec<u8>> {
    if answer.len() == 64 {
        return Some(answer.to_vec());
    }
    // Some programs break the line.
    let letters = answer
        .iter()
        .copied()
        .filter(|letter| !letter.is_ascii_whitespace());
    let bytes = BASE64.decode(letters.collect::<Vec<_>>()).ok()?;
    (bytes.len() == 64).then_some(bytes)
}

/// The last line of a complaint, without control characters.
fn said_shortly(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    let last = text
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty());
    let plain = |line: &str| {
        let letters = line.chars().filter(|letter| !letter.is_control());
        letters.take(COMPLAINT).collect::<String>()
    };
    last.map_or(String::new(), |line| format!(": {}", plain(line)))
}
