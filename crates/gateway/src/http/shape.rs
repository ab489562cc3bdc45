//! How the project's own words look in JSON, for the description of the API.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident $inline:literal $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                $inline
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

shapes! {
    /// A name: of a principal, an environment.
    Name true json_schema!({
        "type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*([.][A-Za-z0-9_-]+)*$",
    });
    /// A case's id.
    CaseName true json_schema!({
        "type": "string", "minLength": 1, "maxLength": 48, "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*([.][A-Za-z0-9_-]+)*$",
    });
    /// A digest.
    Sha256 true json_schema!({
        "type": "string", "pattern": "^[0-9a-f]{64}$", "description": "SHA-256, in hex",
    });
    /// A time.
    Moment true json_schema!({
        "type": "string", "format": "date-time", "description": "RFC 3339 in UTC, with three decimals",
    });
    /// A tool call with exact arguments.
    Action false json_schema!({
        "type": "object",
        "description": "A tool call with exact arguments. A whole number is at most 2^53 - 1 either way, however it is spelt; another one is a double, and has no more digits than one holds.",
        "required": ["tool", "arguments"],
        "additionalProperties": false,
        "properties": {
            "tool": {"type": "string", "description": "`<server>.<tool>`, as the release declares it"},
            "arguments": {"type": "object"},
        },
    });
    /// Words quoted from a clause.
    Quote false json_schema!({
        "type": "object",
        "description": "Words that follow each other in the text of a clause that is cited.",
        "required": ["clause", "words"],
        "additionalProperties": false,
        "properties": {
            "clause": {"type": "string", "description": "the clause's id"},
            "words": {"type": "string"},
        },
    });
    /// A clause by id, version and digest.
    Clause false json_schema!({
        "type": "object",
        "description": "A clause of the release, as retrieval gave it.",
        "required": ["id", "version", "digest"],
        "additionalProperties": false,
        "properties": {
            "id": {"type": "string"},
            "version": {"type": "string"},
            "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
        },
    });
    /// A record of the log.
    Record false json_schema!({
        "type": "object",
        "description": "A record of the log; `docs/records.md` lists every kind.",
        "required": ["v", "seq", "time", "kind", "actor", "body"],
        "properties": {
            "v": {"type": "integer"},
            "seq": {"type": "integer"},
            "time": {"type": "string", "format": "date-time"},
            "cause": {"type": "integer"},
            "env": {"type": "string"},
            "case": {"type": "string"},
            "kind": {"type": "string"},
            "actor": {"type": "object"},
            "release": {"type": "string"},
            "clauses": {"type": "array", "items": {"type": "object"}},
            "body": {"type": "object"},
        },
    });
    /// A request of the core.
    Request false json_schema!({
        "type": "object",
        "description": "A request of the core, by its `type`; the record that it makes carries it as it is sent.",
        "required": ["type"],
        "properties": {"type": {"type": "string", "pattern": "^[a-z_]{1,64}$", "description": "one of those that `docs/records.md` lists"}},
    });
    /// A statement with its signature.
    Signed false json_schema!({
        "type": "object",
        "description": "A statement, and a signature over its canonical JSON (RFC 8785): an Ed25519 signature in base64, an SSH signature, or a passkey's assertion.",
        "required": ["statement", "signature"],
        "additionalProperties": false,
        "properties": {
            "statement": {
                "type": "object",
                "required": ["statement", "log", "signer", "credential"],
                "properties": {
                    "statement": {"type": "string", "description": "the sort of statement, like `counterfoil/approval/v1`"},
                    "log": {"type": "string"},
                    "signer": {"type": "string"},
                    "credential": {"type": "string"},
                },
            },
            "signature": {"type": ["string", "object"]},
        },
    });
    /// What waits for humans.
    Waiting false json_schema!({
        "type": "object",
        "description": "A request for approval that waits, with all that a signature must name.",
        "required": ["approval", "case", "subject", "action", "digest", "tier", "humans", "have", "asked", "expires", "release", "env", "log", "yes_overrides", "no_overrides"],
        "properties": {
            "approval": {"type": "string"},
            "case": {"type": "string"},
            "subject": {"type": "string"},
            "action": {"type": "object"},
            "digest": {"type": "string", "pattern": "^[0-9a-f]{64}$"},
            "tier": {"type": "string", "enum": ["low", "elevated", "high"]},
            "humans": {"type": "integer"},
            "have": {"type": "array", "items": {"type": "string"}},
            "asked": {"type": "string", "format": "date-time"},
            "expires": {"type": "string", "format": "date-time"},
            "release": {"type": "string"},
            "env": {"type": "string"},
            "log": {"type": "string"},
            "prepared": {"type": ["object", "null"]},
            "reviewed": {"type": ["object", "null"]},
            "yes_overrides": {"type": "boolean"},
            "no_overrides": {"type": "boolean"},
        },
    });
}
