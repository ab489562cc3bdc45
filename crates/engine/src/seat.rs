//! Who sits at the door: an authenticated principal, and the two services that come with a log.

use duty::{
    name::{CredentialId, PrincipalId},
    principal::{Credential, NewPrincipal, PrincipalKind, Proof, Role},
};

/// The service that keeps principals, releases and certifications.
pub const ADMIN: &str = "admin";
/// The service that opens cases and records answers, outcomes and expiries.
pub const ENGINE: &str = "engine";
/// What the ids of local credentials end in.
pub const LOCAL_SUFFIX: &str = ".local";

/// An authenticated principal with the credential it came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seat {
    /// Who.
    pub principal: PrincipalId,
    /// With what.
    pub credential: CredentialId,
}

impl Seat {
    /// The admin of the process that owns the data directory.
    #[must_use]
    pub fn admin() -> Self {
        Self::local(ADMIN)
    }

    /// The platform itself.
    #[must_use]
    pub fn engine() -> Self {
        Self::local(ENGINE)
    }

    fn local(name: &str) -> Self {
        let credential = format!("{name}{LOCAL_SUFFIX}");
        Self {
            principal: name.parse().expect("INVARIANT: a fixed, valid name"),
            credential: credential.parse().expect("INVARIANT: a fixed, valid name"),
        }
    }
}

/// The principals that a log begins with.
#[must_use]
pub fn new_services() -> Vec<NewPrincipal> {
    [
        (Seat::admin(), Role::Admin),
        (Seat::engine(), Role::Service),
    ]
    .into_iter()
    .map(|(seat, role)| NewPrincipal {
        id: seat.principal,
        kind: PrincipalKind::Service,
        roles: vec![role],
        owner: None,
        acts_for: None,
        attributes: Default::default(),
        credentials: vec![Credential {
            id: seat.credential,
            proof: Proof::Local,
        }],
    })
    .collect()
}
