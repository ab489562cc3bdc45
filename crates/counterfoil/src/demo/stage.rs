//! Setting the stage: data, target systems, people with keys, the release and its signed threshold.

use std::{fs, path::Path, sync::Arc};

use duty::{
    name::{Environment, PrincipalId},
    principal::{NewPrincipal, Role},
    release::Rules,
    request::Request,
};
use payables::generate::{DEFAULT_COUNT, DEFAULT_SEED, generate};
use policy::Release;
use serde::{Deserialize, Serialize};
use store::{DataDir, secret};

use crate::{
    cli::{Demo, Signing},
    commands::{certification, control, promote, release as releases, threshold},
    door::{As, Door},
    fail::{Failure, named},
    keys::{self, Author},
    site::{self, Site},
    targets::TARGETS,
};

/// The environment that the example runs in.
pub(super) const ENVIRONMENT: &str = "staging";
/// The example's log.
const ORIGIN: &str = "counterfoil.example/payables";
/// What marks a directory as the example's.
const MARK: &str = "demo.json";
/// Where the example's data are, for the books to read.
const BOOKS: &str = "targets/books";
/// Which cases are traps: for the summary alone, no agent and no target reads it.
pub(super) const ANSWERS: &str = "demo-answers.csv";

/// What the example was set up with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Shape {
    pub(super) seed: Option<u64>,
    pub(super) rows: usize,
}

impl Shape {
    pub(super) fn read(dir: &Path) -> Result<Self, Failure> {
        let file = dir.join(MARK);
        let bytes = fs::read(&file)
            .map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
        serde_json::from_slice(&bytes)
            .map_err(|e| Failure::usage(format!("`{}`: {e}", file.display())))
    }
}

/// Makes the directory with its data and target systems, or finds that it is there. Returns whether it was made.
pub(super) fn prepare(demo: &Demo) -> Result<bool, Failure> {
    let dir = &demo.dir;
    let fresh = !DataDir::exists(dir);
    if fresh {
        DataDir::init(dir, ORIGIN)?;
    }
    // Nothing below may be written into a directory that is another process's, or damaged, or read-only.
    let unlock = || crate::passphrase::unlock(dir);
    drop(DataDir::open_with(dir, &site::guards()?, &unlock)?);
    if dir.join(MARK).exists() {
        let shape = Shape::read(dir)?;
        if demo.seed.is_some() && demo.seed != shape.seed {
            return Err(Failure::usage(format!(
                "`{}` was set up with {}; leave `--seed` out, or name another directory",
                dir.display(),
                shape
                    .seed
                    .map_or("the shipped data".to_owned(), |s| format!("seed {s}"))
            )));
        }
    } else {
        data(demo)?;
    }
    bank(dir)?;
    targets(demo)?;
    Ok(fresh)
}

/// The example's data: shipped, or generated from a seed. The mark comes last, so that it means that all is there.
fn data(demo: &Demo) -> Result<(), Failure> {
    let dir = &demo.dir;
    let books = dir.join(BOOKS);
    let io = |e: std::io::Error| Failure::unavailable(format!("`{}`: {e}", books.display()));
    fs::create_dir_all(&books).map_err(io)?;
    let count = demo.cases.unwrap_or(0).max(DEFAULT_COUNT);
    // The shipped data is what the default seed gives.
    let data = generate(demo.seed.unwrap_or(DEFAULT_SEED), count);
    for (name, content) in &data.files {
        fs::write(books.join(name), content).map_err(io)?;
    }
    fs::write(dir.join(ANSWERS), data.answers_csv()).map_err(io)?;
    let shape = Shape {
        seed: demo.seed,
        rows: rows(dir)?.len(),
    };
    let mark = serde_json::to_vec(&shape).map_err(Failure::unavailable)?;
    secret::write_secret(&dir.join(MARK), &mark)?;
    Ok(())
}

fn bank(dir: &Path) -> Result<(), Failure> {
    let token = keys::token(&dir.join("keys/targets/treasury.token"))?;
    treasury::init(&dir.join("targets/treasury.db"), &token).map_err(Failure::unavailable)
}

fn targets(demo: &Demo) -> Result<(), Failure> {
    let text = format!(
        r#"# Target systems: MCP servers that the engine starts, with secrets that no agent sees.
[treasury]
program = "{{self}}"
args = ["treasury", "--db", "{{dir}}/targets/treasury.db", "--delay-ms", "{}"]
secrets = {{ TREASURY_TOKEN = "keys/targets/treasury.token" }}

[books]
program = "{{self}}"
args = ["books", "--data", "{{dir}}/{BOOKS}"]
"#,
        demo.treasury_delay_ms
    );
    secret::write_secret(&demo.dir.join(TARGETS), text.as_bytes())?;
    Ok(())
}

/// One invoice as it came in.
pub(super) struct Row {
    pub(super) id: String,
    pub(super) source: Vec<u8>,
}

/// The invoices in the order of their rows.
pub(super) fn rows(dir: &Path) -> Result<Vec<Row>, Failure> {
    let file = dir.join(BOOKS).join("invoices.csv");
    let text =
        fs::read(&file).map_err(|e| Failure::unavailable(format!("`{}`: {e}", file.display())))?;
    let mut reader = csv::ReaderBuilder::new()
        .flexible(true)
        .from_reader(text.as_slice());
    let broken = |e: csv::Error| Failure::usage(format!("`{}`: {e}", file.display()));
    let header_end = reader
        .byte_headers()
        .map_err(broken)
        .map(|_| ())
        .and_then(|()| offset(&file, reader.position().byte()))?;
    let (mut rows, mut record) = (Vec::new(), csv::ByteRecord::new());
    loop {
        let start = offset(&file, reader.position().byte())?;
        if !reader.read_byte_record(&mut record).map_err(broken)? {
            return Ok(rows);
        }
        let end = offset(&file, reader.position().byte())?;
        let id = String::from_utf8_lossy(record.get(0).unwrap_or_default()).into_owned();
        // The source is the row as it came in, byte for byte, under its header.
        let source = [&text[..header_end], &text[start..end]].concat();
        rows.push(Row { id, source });
    }
}

fn offset(file: &Path, byte: u64) -> Result<usize, Failure> {
    usize::try_from(byte).map_err(|_| Failure::usage(format!("`{}` is too large", file.display())))
}

/// Everybody, the release, its promotion and the signatures under its threshold; what is there already is left alone.
pub(super) async fn people_and_release(site: &mut Site, dir: &Path) -> Result<(), Failure> {
    for new in people(dir)? {
        if !site.engine.read(|s| s.principals.contains_key(&new.id)) {
            submit(site, Request::AddPrincipal(new)).await?;
        }
    }
    site.reseat(dir)?;
    release(site, dir).await
}

async fn release(site: &mut Site, dir: &Path) -> Result<(), Failure> {
    let environment: Environment = named(ENVIRONMENT)?;
    if site
        .engine
        .read(|s| s.environments.contains_key(&environment))
    {
        return Ok(());
    }
    let release = Release::from_files(payables::release_files()).map_err(Failure::usage)?;
    let door = Door::Here(Box::new(site.share()));
    let state = crate::commands::state_of_door(&door, dir)?;
    releases::build(&door, &state, &release).await?;
    train(site, &door, dir, &release).await?;
    let state = crate::commands::state_of_door(&door, dir)?;
    for (one, digest) in release.thresholds() {
        for person in ["carla", "dmitri"] {
            let signer: PrincipalId = named(person)?;
            let signed = state
                .thresholds
                .get(&one.id)
                .and_then(|t| t.signers.get(digest));
            if signed.is_none_or(|s| !s.contains_key(&signer)) {
                let key = keys::signing_key(&keys::person_file(dir, &signer))?;
                threshold::sign_threshold(&door, &state, &release, one.id.as_str(), &signer, &key)
                    .await?;
            }
        }
    }
    into_force(&door, dir, &environment, Arc::new(release)).await
}

/// Everybody passes what the release asks of them: a person, what they passed, and who assessed it.
const TRAINED: [(&str, &str, &str); 8] = [
    ("amira", "payment-approval", "dmitri"),
    ("bram", "payment-approval", "dmitri"),
    ("carla", "payment-approval", "dmitri"),
    ("olivia", "agent-ownership", "carla"),
    ("rashid", "agent-ownership", "carla"),
    ("ines", "agent-ownership", "carla"),
    ("dmitri", "agent-ownership", "carla"),
    ("carla", "agent-ownership", "dmitri"),
];

async fn train(site: &Site, door: &Door, dir: &Path, release: &Release) -> Result<(), Failure> {
    for (person, course, by) in TRAINED {
        let (person, course) = (named(person)?, named(course)?);
        let now = site.engine.now();
        let lacks = site
            .engine
            .read(|s| duty::course::lack(s, release.team(), &person, &course, now).is_some());
        if lacks {
            let state = site.engine.read(Clone::clone);
            let by = author(dir, by)?;
            let request = certification::assessed(&state, release, (&person, &course), &by, now)?;
            door.submit(As::Admin, request).await?;
        }
    }
    Ok(())
}

/// Somebody of the example, with their key.
fn author(dir: &Path, person: &str) -> Result<Author, Failure> {
    let sign = Signing {
        person: person.to_owned(),
        key: None,
        reason: String::new(),
    };
    Author::of(dir, &sign)
}

/// One owner signs the release as its author, its controls are tested, and another owner promotes it.
async fn into_force(
    door: &Door,
    dir: &Path,
    environment: &Environment,
    release: Arc<Release>,
) -> Result<(), Failure> {
    let digest = release.digest();
    let state = crate::commands::state_of_door(door, dir)?;
    let who = |person: &str| author(dir, person);
    promote::sign(door, &state, digest, &who("olivia")?).await?;
    if !state.tested.contains_key(&digest) {
        control::test(door, release).await?;
    }
    let state = crate::commands::state_of_door(door, dir)?;
    let reason = "the example as it is shipped";
    promote::signed(door, &state, environment, digest, &who("carla")?, reason).await?;
    Ok(())
}

async fn submit(site: &Site, request: Request) -> Result<(), Failure> {
    site.engine.submit(&engine::Seat::admin(), request).await?;
    Ok(())
}

/// The example's people and agents.
fn people(dir: &Path) -> Result<Vec<NewPrincipal>, Failure> {
    let humans = [
        ("olivia", vec![Role::Owner]),
        ("rashid", vec![Role::Owner]),
        ("ines", vec![Role::Owner]),
        // Stands in where an approver has an interest of their own in the case.
        ("carla", vec![Role::Approver, Role::Owner]),
        ("dmitri", vec![Role::Owner]),
        ("amira", vec![Role::Approver]),
        ("bram", vec![Role::Approver]),
    ];
    let agents = [
        ("analyst", "olivia", Role::Analyst),
        ("reviewer", "rashid", Role::Reviewer),
        ("executor", "ines", Role::Executor),
    ];
    let mut people = Vec::new();
    for (id, roles) in humans {
        let mut person = keys::new_human(dir, &named(id)?, roles)?;
        // The first signature under a high payment is one of Finance.
        if ["amira", "carla"].contains(&id) {
            let finance = (named("department")?, "finance".to_owned());
            person.attributes.extend([finance]);
        }
        people.push(person);
    }
    for (id, owner, role) in agents {
        people.push(keys::new_agent(
            dir,
            &named(id)?,
            &named(owner)?,
            vec![role],
        )?);
    }
    Ok(people)
}
