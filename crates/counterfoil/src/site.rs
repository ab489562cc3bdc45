//! Opening a data directory: engine, target systems, seats of the built-in agents.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use agents::{Hold, RunError, Runner, Stop};
use duty::{
    canonical::Digest,
    name::{CaseId, Environment},
    principal::Duty,
    release::Rules,
    state::Case,
};
use engine::{Engine, Options, Pending, Seat, target::BoxFuture};
use ledger::trust::Policy;
use store::Cosign;
use tokio::{sync::Semaphore, task::JoinSet};

use witness::{Client, client::Health};

use crate::{fail::Failure, targets::targets};

/// Names the directory of guards.
const GUARDS: &str = "COUNTERFOIL_GUARDS";
/// The file with witnesses and their quorum, in the form of `c2sp.org/tlog-policy`.
pub(crate) const WITNESS_POLICY: &str = "witness.policy";
/// How many cases the built-in team works on at once.
const AT_ONCE: usize = 16;

/// An open data directory.
pub(crate) struct Site {
    pub(crate) engine: Arc<Engine>,
    pub(crate) runner: Arc<Runner>,
    /// How the witnesses fare.
    pub(crate) health: Health,
}

impl Site {
    /// Opens it whole, and takes up what an earlier run left.
    pub(crate) async fn open(dir: &Path) -> Result<Self, Failure> {
        Self::open_with(dir, false).await
    }

    /// As [`Site::open`]; with `verify`, the whole log is read whatever fold was written down.
    pub(crate) async fn open_with(dir: &Path, verify: bool) -> Result<Self, Failure> {
        let targets = targets(dir)?;
        let witnesses = witness_policy(dir)?.filter(Policy::asks).map(Client::new);
        let health = witnesses.as_ref().map(Client::health).unwrap_or_default();
        let options = Options {
            targets,
            embedder: crate::embedder::of(dir)?,
            witnesses: witnesses.map(|client| Box::new(client) as Box<dyn Cosign>),
            unlock: Some({
                let dir = dir.to_owned();
                Box::new(move || crate::passphrase::unlock(&dir))
            }),
            verify,
            ..Options::new(&guards()?)
        };
        let engine = Arc::new(Engine::open(dir, options).await?);
        let recovered = engine.recover().await?;
        if recovered.unknown + recovered.settled > 0 {
            eprintln!(
                "after an interruption: {} outcomes were unknown, {} could be settled at the target, {} stay open",
                recovered.unknown + recovered.open,
                recovered.settled,
                recovered.open
            );
        }
        match engine.finish_erasures().await {
            Ok(0) => {}
            Ok(removed) => eprintln!(
                "after an interruption: {removed} snapshots of erased data subjects were still here, and are removed"
            ),
            // The work of others does not wait for it; `serve` tries again.
            Err(why) => eprintln!("ALARM: {why}"),
        }
        let runner = runner(dir, &engine)?;
        Ok(Self {
            engine,
            runner,
            health,
        })
    }

    /// Looks again whose tokens are here.
    pub(crate) fn reseat(&mut self, dir: &Path) -> Result<(), Failure> {
        self.runner = runner(dir, &self.engine)?;
        Ok(())
    }

    /// Takes all of `work` as far as agents can, some at once; `done` hears of each.
    ///
    /// A case that fails stops none of the others; the first failure is returned when all are through.
    pub(crate) async fn advance(
        &self,
        work: Vec<Work>,
        mut done: impl FnMut(&CaseId, Stop),
    ) -> Result<(), Failure> {
        let room = Arc::new(Semaphore::new(AT_ONCE));
        let mut running = JoinSet::new();
        for work in work {
            let (runner, room) = (Arc::clone(&self.runner), Arc::clone(&room));
            running.spawn(async move {
                let _place = room.acquire().await;
                let stop = work.run(&runner).await;
                (work.case, stop)
            });
        }
        let mut failure: Option<Failure> = None;
        while let Some(joined) = running.join_next().await {
            match joined {
                Ok((case, Ok(stop))) => done(&case, stop),
                Ok((case, Err(e))) => {
                    let e = Failure::from(e);
                    let named = Failure {
                        message: format!("case `{case}`: {}", e.message),
                        ..e
                    };
                    failure.get_or_insert(named);
                }
                Err(e) => {
                    return Err(Failure::unavailable(format!(
                        "a case's task ended badly: {e}"
                    )));
                }
            }
        }
        failure.map_or(Ok(()), Err)
    }

    /// The built-in agents, for the doors.
    pub(crate) fn team(&self) -> Arc<dyn gateway::mcp::Team> {
        Arc::new(BuiltIn(Arc::clone(&self.runner)))
    }

    /// Another handle on the same engine and runner.
    pub(crate) fn share(&self) -> Self {
        Self {
            engine: Arc::clone(&self.engine),
            runner: Arc::clone(&self.runner),
            health: self.health.clone(),
        }
    }

    /// Publishes the rest and lets go of the directory.
    pub(crate) fn close(self) -> Result<(), Failure> {
        drop(self.runner);
        match Arc::into_inner(self.engine) {
            Some(engine) => Ok(engine.close()?),
            None => Err(Failure::unavailable(
                "the engine is still in use; what is committed stays in the journal",
            )),
        }
    }

    /// Cases that agents here can go on with; what waits for agents outside is theirs.
    pub(crate) fn movable(&self) -> Vec<Work> {
        let movable: Vec<_> = self.engine.read(|state| {
            let movable =
                state
                    .cases
                    .iter()
                    .filter(|(_, case)| match (&case.grant, &case.approval) {
                        (Some(grant), _) => grant.used.is_none(),
                        (None, Some(_)) => false,
                        (None, None) => true,
                    });
            let next = movable.map(|(id, case)| (id.clone(), case.release, next_duty(case)));
            next.collect()
        });
        let mut outside = HashMap::new();
        let here = movable.into_iter().filter(|(_, release, duty)| {
            let known = outside.entry((*release, *duty));
            !*known.or_insert_with(|| self.is_outside(*release, *duty))
        });
        here.map(|(id, ..)| Work::go_on(id)).collect()
    }

    /// Whether a release gives a duty to an agent that runs outside.
    fn is_outside(&self, release: Digest, duty: Duty) -> bool {
        // One that cannot be read is the runner's to complain about.
        let Ok(Some(release)) = self.engine.release(release) else {
            return false;
        };
        let mut agents = release.team().with_duty(duty);
        agents.any(|agent| release.agent(&agent.id).is_some_and(|plan| plan.external))
    }
}

fn next_duty(case: &Case) -> Duty {
    match (&case.grant, &case.prepared) {
        (Some(_), _) => Duty::Execute,
        (None, Some(_)) => Duty::Review,
        (None, None) => Duty::Prepare,
    }
}

/// The built-in agents as the MCP door takes them.
struct BuiltIn(Arc<Runner>);

impl gateway::mcp::Team for BuiltIn {
    fn hold(&self, case: &CaseId) -> Option<Box<dyn gateway::mcp::Hand>> {
        let hold = Runner::hold(&self.0, case)?;
        Some(Box::new(InHand(Arc::clone(&self.0), hold)))
    }
}

/// A case in the door's hand.
struct InHand(Arc<Runner>, Hold);

impl gateway::mcp::Hand for InHand {
    fn advance(&self) -> BoxFuture<'_, Result<Pending<gateway::mcp::Moved>, String>> {
        Box::pin(async move {
            let progress = self.0.advance_held(&self.1).await;
            let progress = progress.map_err(|e| e.to_string())?;
            Ok(progress.map(|progress| gateway::mcp::Moved {
                decided: progress.decided,
                executed: progress.executed,
            }))
        })
    }
}

/// One case to work on.
pub(crate) struct Work {
    case: CaseId,
    open: Option<Opening>,
}

/// What a case opens over.
pub(crate) struct Opening {
    pub(crate) environment: Environment,
    pub(crate) subject: String,
    pub(crate) source: Vec<u8>,
}

impl Work {
    /// A case that is open already.
    pub(crate) fn go_on(case: CaseId) -> Self {
        Self { case, open: None }
    }

    /// A case to be opened first.
    pub(crate) fn open(case: CaseId, opening: Opening) -> Self {
        Self {
            case,
            open: Some(opening),
        }
    }

    async fn run(&self, runner: &Runner) -> Result<Stop, RunError> {
        if let Some(o) = &self.open {
            runner
                .open(&self.case, &o.environment, &o.subject, &o.source)
                .await?;
        }
        runner.advance(&self.case).await
    }
}

/// Where this machine keeps its logs' guards.
pub(crate) fn guards() -> Result<PathBuf, Failure> {
    let named = |name: &str| {
        std::env::var_os(name)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from)
    };
    let state = || {
        let home = || named("HOME").map(|home| home.join(".local/state"));
        named("XDG_STATE_HOME").or_else(home)
    };
    let place = named(GUARDS).or_else(|| state().map(|state| state.join("counterfoil/guards")));
    place.ok_or_else(|| {
        Failure::usage(format!(
            "there is no HOME to keep the log's guard in; name a directory outside the data directory with {GUARDS}"
        ))
    })
}

/// The trust policy of the data directory, where there is one.
pub(crate) fn witness_policy(dir: &Path) -> Result<Option<Policy>, Failure> {
    let file = dir.join(WITNESS_POLICY);
    let text = match std::fs::read_to_string(&file) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(Failure::unavailable(format!("`{}`: {e}", file.display()))),
    };
    let policy = Policy::parse(&text);
    let policy = policy.map_err(|e| Failure::usage(format!("`{}`: {e}", file.display())))?;
    Ok(Some(policy))
}

/// The built-in team, with the tokens and endpoints that are here.
fn runner(dir: &Path, engine: &Arc<Engine>) -> Result<Arc<Runner>, Failure> {
    let runner = Runner::new(Arc::clone(engine), seats(dir, engine)?);
    Ok(Arc::new(runner.with_endpoints(crate::models::of(dir)?)))
}

/// The seats of agents whose tokens are here.
fn seats(dir: &Path, engine: &Engine) -> Result<Vec<Seat>, Failure> {
    let folder = dir.join("keys/agents");
    let mut seats = Vec::new();
    let Ok(files) = std::fs::read_dir(&folder) else {
        return Ok(seats);
    };
    for file in files.flatten() {
        let path = file.path();
        if path.extension().is_some_and(|e| e == "token") {
            let token = crate::keys::token(&path)?;
            // A token that nobody holds (any more) seats nobody.
            seats.extend(engine.authenticate(&token).ok());
        }
    }
    Ok(seats)
}
