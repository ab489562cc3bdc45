//! Databases that keep rows in a hash chain, measured as the log is: 64 writers, rows of 1 KiB, counted when they are
//! durable. Each prints a row: name, writers, rows a second, remark.
//!
//! `compare sqlite|postgres-batched|postgres-locked DIRECTORY SECONDS [ON_THEIR_WAY]`. The directory must not be there yet.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use postgres::{Client, NoTls};
use sha2::{Digest, Sha256};

const ROW: usize = 1024;
const WRITERS: usize = 64;
/// Rows in one transaction, at most: more than 64 writers with 16 each have waiting.
const BATCH: usize = 4096;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;
type Hash = [u8; 32];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [what, directory, seconds, rest @ ..] = &arguments[..] else {
        return Err(
            "say what, DIRECTORY, SECONDS, and how many rows each writer keeps on their way".into(),
        );
    };
    let room = PathBuf::from(directory);
    std::fs::create_dir(&room)?;
    let time = Duration::from_secs(seconds.parse()?);
    let window = rest.first().map_or(Ok(1), |text| text.parse())?;
    match &what[..] {
        "sqlite" => row(
            "SQLite, hash chain",
            window,
            batched(Sqlite::open(&room)?, time, window)?,
            "WAL, synchronous=FULL, one commit for all that waits",
        ),
        "postgres-batched" => {
            let server = Server::start(&room)?;
            let sink = Postgres::open(&server)?;
            let rate = batched(sink, time, window)?;
            row(
                "PostgreSQL 15, hash chain",
                window,
                rate,
                "default durability, one session inserts all that waits, one commit",
            );
        }
        "postgres-locked" => {
            let server = Server::start(&room)?;
            row(
                "PostgreSQL 15, hash chain",
                1,
                locked(&server, time)?,
                "default durability, 64 sessions, each locks the head of the chain until its commit",
            );
        }
        other => {
            return Err(
                format!("{other}: there is sqlite, postgres-batched, postgres-locked").into(),
            );
        }
    }
    Ok(())
}

fn row(name: &str, window: usize, rate: f64, remark: &str) {
    println!("{name}\t{WRITERS}, {window} on their way each\t{rate:.0}\t{remark}");
}

/// The next link of the chain.
fn link(head: &Hash, row: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(head)
        .chain_update(row)
        .finalize()
        .into()
}

/// Where batches of rows are made durable.
trait Sink: Send + 'static {
    /// Appends rows in one transaction; they are durable when it returns.
    fn append(&mut self, rows: &[Vec<u8>]) -> Result<()>;

    /// Rows that the database holds.
    fn count(&mut self) -> Result<u64>;
}

/// 64 writers hand rows to one committer, which makes all that waits durable at once and then tells each writer.
fn batched(mut sink: impl Sink, time: Duration, window: usize) -> Result<f64> {
    let (queue, waiting) = mpsc::channel::<(Vec<u8>, mpsc::SyncSender<()>)>();
    let committer = std::thread::spawn(move || -> Result<_> {
        let mut count = 0;
        while let Ok(first) = waiting.recv() {
            let (mut rows, mut tickets) = (vec![first.0], vec![first.1]);
            for (row, ticket) in waiting.try_iter().take(BATCH - 1) {
                rows.push(row);
                tickets.push(ticket);
            }
            sink.append(&rows)?;
            count += rows.len() as u64;
            for ticket in tickets {
                ticket.send(())?;
            }
        }
        Ok((count, sink))
    });
    let start = Instant::now();
    std::thread::scope(|scope| -> Result<()> {
        let writers: Vec<_> = (0..WRITERS)
            .map(|_| {
                let queue = queue.clone();
                scope.spawn(move || -> Result<()> {
                    let mut tickets = VecDeque::new();
                    while start.elapsed() < time {
                        let (done, ticket) = mpsc::sync_channel(1);
                        queue.send((vec![7; ROW], done))?;
                        tickets.push_back(ticket);
                        if tickets.len() == window
                            && let Some(oldest) = tickets.pop_front()
                        {
                            oldest.recv()?;
                        }
                    }
                    tickets.into_iter().try_for_each(|ticket| ticket.recv())?;
                    Ok(())
                })
            })
            .collect();
        for writer in writers {
            writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(())
    })?;
    let took = start.elapsed();
    drop(queue);
    let (count, mut sink) = committer.join().map_err(|_| "the committer panicked")??;
    if sink.count()? != count {
        return Err(format!(
            "{count} rows were acknowledged and the database holds {}",
            sink.count()?
        )
        .into());
    }
    Ok(count as f64 / took.as_secs_f64())
}

struct Sqlite {
    connection: rusqlite::Connection,
    head: Hash,
}

impl Sqlite {
    fn open(room: &Path) -> Result<Self> {
        let connection = rusqlite::Connection::open(room.join("chain.db"))?;
        let mode: String =
            connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
        if mode != "wal" {
            return Err(format!("SQLite stays in mode {mode}").into());
        }
        connection.execute_batch(
            "PRAGMA synchronous = FULL;
             CREATE TABLE chain (seq INTEGER PRIMARY KEY, hash BLOB NOT NULL, payload BLOB NOT NULL);",
        )?;
        Ok(Self {
            connection,
            head: [0; 32],
        })
    }
}

impl Sink for Sqlite {
    fn append(&mut self, rows: &[Vec<u8>]) -> Result<()> {
        let transaction = self.connection.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO chain (hash, payload) VALUES (?1, ?2)")?;
            for row in rows {
                self.head = link(&self.head, row);
                insert.execute((&self.head[..], row))?;
            }
        }
        transaction.commit()?;
        Ok(())
    }

    fn count(&mut self) -> Result<u64> {
        Ok(self
            .connection
            .query_row("SELECT count(*) FROM chain", [], |row| row.get::<_, i64>(0))?
            as u64)
    }
}

/// A cluster of its own with default settings, on a socket in its directory; stopped when dropped.
struct Server {
    data: PathBuf,
    socket: PathBuf,
    /// Directory of PostgreSQL's binaries.
    bin: PathBuf,
    _socket: tempfile::TempDir,
}

impl Server {
    fn start(room: &Path) -> Result<Self> {
        let bin = PathBuf::from(
            std::env::var("PG_BIN").unwrap_or_else(|_| "/usr/lib/postgresql/15/bin".to_owned()),
        );
        // A socket's path must be short, so it is not beside the data.
        let socket = tempfile::Builder::new().prefix("pg").tempdir_in("/tmp")?;
        let server = Self {
            data: room.join("data"),
            socket: socket.path().to_owned(),
            bin,
            _socket: socket,
        };
        if is_root()? {
            // PostgreSQL does not run as root.
            run(Command::new("chown")
                .arg("postgres")
                .arg(room)
                .arg(&server.socket))?;
        }
        run(server
            .command("initdb")?
            .args(["--auth=trust", "--username=compare", "-D"])
            .arg(&server.data))?;
        let options = format!(
            "-c listen_addresses='' -c unix_socket_directories={}",
            server.socket.display()
        );
        run(server
            .command("pg_ctl")?
            .args(["-w", "-s", "-o", &options, "-l"])
            .arg(server.socket.join("log"))
            .arg("-D")
            .arg(&server.data)
            .arg("start"))?;
        let mut client = server.client()?;
        for (setting, want) in [
            ("fsync", "on"),
            ("synchronous_commit", "on"),
            ("full_page_writes", "on"),
        ] {
            let value: String = client.query_one(&format!("SHOW {setting}"), &[])?.get(0);
            if value != want {
                return Err(format!("PostgreSQL runs with {setting} = {value}").into());
            }
        }
        client.batch_execute(
            "CREATE TABLE chain (seq bigint PRIMARY KEY, hash bytea NOT NULL, payload bytea NOT NULL);
             CREATE TABLE head (seq bigint NOT NULL, hash bytea NOT NULL);
             INSERT INTO head VALUES (0, decode(repeat('00', 32), 'hex'));
             CREATE FUNCTION append(payload bytea) RETURNS bigint LANGUAGE sql AS $$
               WITH next AS (
                 UPDATE head SET seq = head.seq + 1, hash = sha256(head.hash || append.payload) RETURNING seq, hash
               )
               INSERT INTO chain SELECT next.seq, next.hash, append.payload FROM next RETURNING seq
             $$;",
        )?;
        Ok(server)
    }

    fn command(&self, program: &str) -> Result<Command> {
        let program = self.bin.join(program);
        let mut command = Command::new(&program);
        if is_root()? {
            command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(&program);
        }
        command.current_dir("/");
        Ok(command)
    }

    fn client(&self) -> Result<Client> {
        let target = format!(
            "host={} user=compare dbname=postgres",
            self.socket.display()
        );
        Ok(Client::connect(&target, NoTls)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let stopped = self.command("pg_ctl").and_then(|mut command| {
            run(command
                .args(["-w", "-s", "-m", "fast", "-D"])
                .arg(&self.data)
                .arg("stop"))
        });
        if let Err(error) = stopped {
            eprintln!("PostgreSQL was not stopped: {error}");
        }
    }
}

fn is_root() -> Result<bool> {
    Ok(Command::new("id").arg("-u").output()?.stdout == b"0\n")
}

fn run(command: &mut Command) -> Result<()> {
    // The server inherits a pipe and keeps it open, so its output is not waited for.
    let status = command.stdout(std::process::Stdio::null()).status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{command:?}: {status}").into())
    }
}

struct Postgres {
    client: Client,
    insert: postgres::Statement,
    seq: i64,
    head: Hash,
}

impl Postgres {
    fn open(server: &Server) -> Result<Self> {
        let mut client = server.client()?;
        let insert = client.prepare(
            "INSERT INTO chain SELECT * FROM unnest($1::bigint[], $2::bytea[], $3::bytea[])",
        )?;
        Ok(Self {
            client,
            insert,
            seq: 0,
            head: [0; 32],
        })
    }
}

impl Sink for Postgres {
    fn append(&mut self, rows: &[Vec<u8>]) -> Result<()> {
        let (mut seqs, mut hashes) = (Vec::new(), Vec::new());
        for row in rows {
            self.head = link(&self.head, row);
            self.seq += 1;
            seqs.push(self.seq);
            hashes.push(self.head.to_vec());
        }
        // One statement outside a transaction block is a transaction.
        self.client
            .execute(&self.insert, &[&seqs, &hashes, &rows])?;
        Ok(())
    }

    fn count(&mut self) -> Result<u64> {
        Ok(self
            .client
            .query_one("SELECT count(*) FROM chain", &[])?
            .get::<_, i64>(0) as u64)
    }
}

/// 64 sessions that append a row each; the lock on the chain's head is held until the commit is durable.
fn locked(server: &Server, time: Duration) -> Result<f64> {
    let clients = (0..WRITERS)
        .map(|_| server.client())
        .collect::<Result<Vec<_>>>()?;
    let start = Instant::now();
    let count = std::thread::scope(|scope| -> Result<u64> {
        let writers: Vec<_> = clients
            .into_iter()
            .map(|mut client| {
                scope.spawn(move || -> Result<u64> {
                    let append = client.prepare("SELECT append($1)")?;
                    let mut count = 0;
                    while start.elapsed() < time {
                        client.query_one(&append, &[&vec![7_u8; ROW]])?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let mut count = 0;
        for writer in writers {
            count += writer.join().map_err(|_| "a writer panicked")??;
        }
        Ok(count)
    })?;
    let took = start.elapsed();
    let held: i64 = server
        .client()?
        .query_one("SELECT count(*) FROM chain", &[])?
        .get(0);
    if held as u64 != count {
        return Err(format!("{count} rows were acknowledged and the database holds {held}").into());
    }
    Ok(count as f64 / took.as_secs_f64())
}
