//! Keeping the books: the log's beginning, principals, releases, environments, threshold signatures.

use super::{Desk, Place, Ruled};
use crate::{
    canonical::Digest,
    fold::proof_digest,
    log_key::Rotation,
    name::PrincipalId,
    principal::{Credential, NewPrincipal, PrincipalKind, Role},
    quorum::{Attributes, check_value},
    record::{
        AttributesSet, FileRecorded, LogKeyRotated, LogOpened, PrincipalAdded, PrincipalRevoked,
        ReleaseBuilt, ThresholdSigned,
    },
    refusal::{Code, Refusal},
    request::{BuildRelease, OpenLog, RecordFile, RevokePrincipal, RotateLogKey, SetAttributes},
    shared::Shared,
    state::Principal,
    statement::{Signed, ThresholdStatement},
};

impl<'a> Desk<'a> {
    pub(super) fn open_log(&mut self, request: &OpenLog) -> Ruled {
        if self.state.size > 0 {
            return Err(Refusal::new(
                Code::LogState,
                "the log was begun already",
                "use it as it is, or begin another in an empty directory",
            ));
        }
        let mut seen = crate::state::State::default();
        for principal in &request.principals {
            well_formed(&seen, principal)?;
            if principal.kind != PrincipalKind::Service {
                return Err(malformed(
                    "a log begins with services only: an admin and the platform",
                ));
            }
            seen.principals.insert(
                principal.id.clone(),
                Shared::from(Principal {
                    kind: principal.kind,
                    roles: Default::default(),
                    owner: None,
                    acts_for: None,
                    attributes: Default::default(),
                    credentials: Vec::new(),
                    ended: Default::default(),
                    counters: Default::default(),
                    signed: Vec::new(),
                    revoked: false,
                    certifications: Default::default(),
                    own: None,
                    groups: Default::default(),
                    told: Default::default(),
                }),
            );
        }
        let body = LogOpened {
            request: self.request(),
        };
        self.write(Place::default(), None, Vec::new(), body);
        Ok(())
    }

    /// The key has changed already when this is asked: what is left is to take it down, at the place that was signed.
    pub(super) fn rotate_log_key(&mut self, request: &RotateLogKey) -> Ruled {
        self.holds(Role::Admin)?;
        let rotation = Rotation::open(&request.statement).map_err(|why| {
            Refusal::new(
                Code::BadSignature,
                format!("the key statement does not hold: {why}"),
                "send the statement as both keys signed it",
            )
        })?;
        let wrong = |why: String| {
            Err(Refusal::new(
                Code::WrongBinding,
                why,
                "rotate the key of this log, from its key of today, with no record between",
            ))
        };
        if Some(&rotation.origin) != self.state.origin.as_ref() {
            return wrong(format!("the statement is of the log `{}`", rotation.origin));
        }
        if self
            .state
            .log_key
            .as_ref()
            .is_some_and(|k| *k != rotation.old)
        {
            return wrong(format!("`{}` is not the log's key", rotation.old));
        }
        if rotation.size != self.state.size {
            return wrong(format!(
                "the statement is of {} records, and the log has {}",
                rotation.size, self.state.size
            ));
        }
        let body = LogKeyRotated {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn add_principal(&mut self, request: &NewPrincipal) -> Ruled {
        self.holds(Role::Admin)?;
        well_formed(self.state, request)?;
        if let Some(owner) = &request.owner {
            let human = self
                .state
                .principals
                .get(owner)
                .is_some_and(|o| o.kind == PrincipalKind::Human && !o.revoked);
            if !human {
                return Err(malformed(format!(
                    "the owner `{owner}` is not a human of this log; add the owner first"
                )));
            }
        }
        let body = PrincipalAdded {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn revoke_principal(&mut self, request: &RevokePrincipal) -> Ruled {
        self.holds(Role::Admin)?;
        self.not_ended(&request.principal)?;
        if request.principal == self.submission.principal {
            return Err(malformed(
                "an admin cannot revoke itself: nobody would be left to undo it",
            ));
        }
        needs_reason(&request.reason)?;
        let body = PrincipalRevoked {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    /// A principal that did not end.
    pub(super) fn not_ended(&self, id: &PrincipalId) -> Ruled<&'a Principal> {
        let known = self.state.principals.get(id).filter(|p| !p.revoked);
        known.map(|p| &**p).ok_or_else(|| {
            Refusal::new(
                Code::UnknownPrincipal,
                format!("nobody in force is called `{id}`"),
                "name a principal that `principal list` shows",
            )
        })
    }

    pub(super) fn set_attributes(&mut self, request: &SetAttributes) -> Ruled {
        self.holds(Role::Admin)?;
        let known = self.not_ended(&request.principal)?;
        well_said(&request.principal, &request.attributes)?;
        if known.attributes == request.attributes {
            return Err(malformed(format!(
                "that is what is said of `{}` already",
                request.principal
            )));
        }
        needs_reason(&request.reason)?;
        let body = AttributesSet {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn record_file(&mut self, request: &RecordFile) -> Ruled {
        self.holds(Role::Admin)?;
        let digest = Digest::of_bytes(request.content.as_bytes());
        if self.state.files.contains_key(&digest) {
            return Err(Refusal::new(
                Code::Replayed,
                format!(
                    "a file with the digest {} is in the log already",
                    digest.short()
                ),
                "name it in the release by its digest",
            ));
        }
        let body = FileRecorded {
            request: self.request(),
            digest,
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn build_release(&mut self, request: &BuildRelease) -> Ruled {
        self.holds(Role::Admin)?;
        for (path, digest) in &request.files {
            if !self.state.files.contains_key(digest) {
                return Err(Refusal::new(
                    Code::PolicyMissing,
                    format!(
                        "the log does not hold `{path}` with the digest {}",
                        digest.short()
                    ),
                    "record the file first",
                ));
            }
        }
        let digest = Digest::of(&request.files).map_err(|e| malformed(e.to_string()))?;
        if self.state.releases.contains_key(&digest) {
            return Err(Refusal::new(
                Code::Replayed,
                format!("release {} was built already", digest.short()),
                "promote it, or change a file",
            ));
        }
        let body = ReleaseBuilt {
            request: self.request(),
            digest,
        };
        self.write(Place::default(), Some(Role::Admin), Vec::new(), body);
        Ok(())
    }

    pub(super) fn sign_threshold(&mut self, request: &Signed<ThresholdStatement>) -> Ruled {
        self.signed(request)?;
        self.holds(Role::Owner)?;
        let s = &request.statement;
        let signed = self.state.thresholds.get(&s.threshold);
        let before = signed.and_then(|t| t.signers.get(&s.digest));
        let before = before.and_then(|signers| signers.get(&s.signer));
        if before.is_some_and(|with| self.state.stands(&s.signer, with)) {
            return Err(Refusal::new(
                Code::Replayed,
                format!(
                    "`{}` has signed threshold `{}` already",
                    s.signer, s.threshold
                ),
                "another person's signature is needed, if one is missing",
            ));
        }
        let body = ThresholdSigned {
            request: self.request(),
        };
        self.write(Place::default(), Some(Role::Owner), Vec::new(), body);
        Ok(())
    }
}

/// The duties' roles, and those that must keep apart from them and from each other (SOD-03, SOD-06).
const APART: &[&[Role]] = &[
    &[
        Role::Analyst,
        Role::Reviewer,
        Role::Executor,
        Role::Approver,
    ],
    &[Role::Admin, Role::Auditor, Role::Approver],
    &[Role::Admin, Role::Owner],
    &[
        Role::Service,
        Role::Approver,
        Role::Analyst,
        Role::Reviewer,
        Role::Executor,
    ],
];

fn well_said(id: &PrincipalId, attributes: &Attributes) -> Ruled {
    let wrong = attributes.iter().find_map(|(name, value)| {
        let why = check_value(value).err()?;
        Some(malformed(format!("`{name}` of `{id}`: {why}")))
    });
    wrong.map_or(Ok(()), Err)
}

fn well_formed(state: &crate::state::State, new: &NewPrincipal) -> Ruled {
    let id = &new.id;
    if state.principals.contains_key(id) {
        return Err(Refusal::new(
            Code::Replayed,
            format!("`{id}` is taken, and ids are never used twice"),
            "choose another id",
        ));
    }
    // A human may have all their roles from groups.
    let none = new.roles.is_empty() && new.kind != PrincipalKind::Human;
    if none || new.roles.windows(2).any(|w| w[0] >= w[1]) {
        return Err(malformed(format!(
            "`{id}` needs at least one role, each once and in order"
        )));
    }
    let held = new.roles.iter().map(|r| (*r, "by itself".to_owned()));
    together(&format!("`{id}`"), held)?;
    well_said(id, &new.attributes)?;
    let wrong = new.roles.iter().find(|r| !new.kind.may_hold(**r));
    if let Some(role) = wrong {
        let code = if matches!(role, Role::Approver | Role::Owner) {
            Code::NotHuman
        } else {
            Code::NotYourDuty
        };
        return Err(Refusal::new(
            code,
            format!("`{id}` cannot hold the role {}", role.word()),
            "approvers and owners are humans; agents prepare, review or execute; agents and services take cases in",
        ));
    }
    if (new.kind == PrincipalKind::Agent) != new.owner.is_some() {
        return Err(malformed(format!(
            "`{id}`: an agent needs an owner, and only an agent has one"
        )));
    }
    below(state, new)?;
    well_proved(state, new)
}

/// Whether one may hold these roles together, each with what gives it; `whose` says of whom that is asked.
pub(super) fn together(whose: &str, held: impl IntoIterator<Item = (Role, String)>) -> Ruled {
    let held: Vec<_> = held.into_iter().collect();
    for apart in APART {
        let mut of = held.iter().filter(|(role, _)| apart.contains(role));
        let Some((first, by)) = of.next() else {
            continue;
        };
        if let Some((second, other)) = of.find(|(role, _)| role != first) {
            let from = if by == other && by == "by itself" {
                String::new()
            } else {
                format!(": {} {by}, {} {other}", first.word(), second.word())
            };
            return Err(Refusal::new(
                Code::NotIndependent,
                format!(
                    "{whose} would hold the roles {} and {} together{from}",
                    first.word(),
                    second.word()
                ),
                "give these roles to different principals",
            ));
        }
    }
    Ok(())
}

/// A sub-agent is answered for by whoever answers for the agent above it, and holds no duty that conflicts with one of its
/// line: all of a line count as one (SOD-03, SOD-04).
fn below(state: &crate::state::State, new: &NewPrincipal) -> Ruled {
    let (id, Some(above)) = (&new.id, &new.acts_for) else {
        return Ok(());
    };
    let in_force = |p: &&Shared<Principal>| p.kind == PrincipalKind::Agent && !p.revoked;
    let Some(parent) = state.principals.get(above).filter(in_force) else {
        return Err(malformed(format!(
            "`{id}` would act for `{above}`, which is no agent in force; add that one first"
        )));
    };
    if new.kind != PrincipalKind::Agent || new.owner != parent.owner {
        return Err(malformed(format!(
            "`{id}` would act for `{above}`: only an agent of the same owner does"
        )));
    }
    for one in state.line(above) {
        let held = state.principals.get(one).map(|p| &p.roles);
        let other = held.into_iter().flatten().find(|r| !new.roles.contains(r));
        if let Some(other) = other {
            return Err(Refusal::new(
                Code::NotIndependent,
                format!(
                    "`{id}` would act for `{one}`, which is {}, under another role",
                    other.word()
                ),
                "give a sub-agent the role of whom it acts for, or let it act for nobody",
            ));
        }
    }
    Ok(())
}

fn well_proved(state: &crate::state::State, new: &NewPrincipal) -> Ruled {
    let id = &new.id;
    if new.credentials.is_empty() {
        return Err(malformed(format!("`{id}` needs at least one credential")));
    }
    for (i, credential) in new.credentials.iter().enumerate() {
        of_its_own(state, (id, new.kind), credential, &new.credentials[..i])?;
    }
    Ok(())
}

/// A credential is of a sort that such a principal may have, and nobody's yet: not in the log, and not among those that came
/// with the request `earlier`.
pub(super) fn of_its_own(
    state: &crate::state::State,
    (id, kind): (&PrincipalId, PrincipalKind),
    credential: &Credential,
    earlier: &[Credential],
) -> Ruled {
    if !kind.may_come_with(&credential.proof) {
        return Err(malformed(format!(
            "`{id}`: humans sign with keys of their own, agents come with tokens or certificates, services also locally"
        )));
    }
    let twice = state.credentials.contains_key(&credential.id)
        || earlier.iter().any(|c| c.id == credential.id)
        || proof_digest(&credential.proof).is_some_and(|d| {
            state.proofs.contains_key(&d)
                || earlier.iter().any(|c| proof_digest(&c.proof) == Some(d))
        });
    if twice {
        return Err(Refusal::new(
            Code::NotIndependent,
            format!(
                "credential `{}` of `{id}` is somebody's already",
                credential.id
            ),
            "make a credential of its own for every principal",
        ));
    }
    Ok(())
}

pub(super) fn malformed(why: impl Into<String>) -> Refusal {
    Refusal::new(
        Code::Malformed,
        why,
        "correct the request and send it again",
    )
}

pub(super) fn needs_reason(reason: &str) -> Ruled {
    if reason.trim().len() < 3 {
        return Err(Refusal::new(
            Code::ReasonMissing,
            "no reason is given",
            "say why, in a few words",
        ));
    }
    Ok(())
}
