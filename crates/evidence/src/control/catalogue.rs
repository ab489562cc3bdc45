//! The default catalogue: controls with what they assert, the criteria they answer to, and the attempts that test them.

use serde_json::{Value, json};

use super::{attempts as a, attempts::Attempt, tampering as t, training as n};

/// A control.
#[derive(Debug)]
pub struct Control {
    /// Its id.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// What is asserted over the whole population.
    pub asserts: &'static str,
    /// Ids of the criteria that it answers to, of SOC 2, NIST 800-53 r5, ISO 27001 and 42001, and the EU AI Act.
    pub criteria: &'static [&'static str],
    /// The attempts, by name.
    pub(super) tests: &'static [(&'static str, Attempt)],
}

impl Control {
    /// The names of its tests.
    pub fn tests(&self) -> impl Iterator<Item = &'static str> + use<> {
        self.tests.iter().map(|(name, _)| *name)
    }

    /// All of it as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tests: Vec<_> = self.tests().collect();
        json!({"id": self.id, "title": self.title, "asserts": self.asserts, "criteria": self.criteria, "tests": tests})
    }
}

/// The controls, in order of id within their families.
pub const CATALOGUE: &[Control] = &[
    Control {
        id: "SOD-01",
        title: "Initiator is not approver",
        asserts: "whoever approves took no other part in the case, and owns none of its agents",
        criteria: &["SOC2 CC5.1", "SOC2 CC6.3", "NIST AC-5", "ISO27001 A.5.3"],
        tests: &[
            ("an agent approves its own case", a::agent_approves),
            (
                "the owner of an agent of the case approves",
                a::owner_approves,
            ),
        ],
    },
    Control {
        id: "SOD-02",
        title: "Approver is not executor",
        asserts: "whoever uses a grant did nothing else in its case",
        criteria: &["SOC2 CC5.1", "NIST AC-5", "ISO27001 A.5.3"],
        tests: &[(
            "an approver, an analyst or a reviewer executes",
            a::approver_executes,
        )],
    },
    Control {
        id: "SOD-03",
        title: "Conflicts refused at assignment",
        asserts: "nobody was given two roles that exclude each other",
        criteria: &[
            "SOC2 CC6.2",
            "SOC2 CC6.3",
            "NIST AC-2",
            "NIST AC-5",
            "ISO27001 A.5.18",
        ],
        tests: &[("conflicting roles are given", a::conflicting_roles)],
    },
    Control {
        id: "SOD-04",
        title: "No laundering",
        asserts: "the parts of a case were played by different roots of delegation, with no credential in common, and nobody stood behind an action twice, for themself and through a deputy",
        criteria: &["SOC2 CC6.1", "NIST AC-5", "NIST IA-4", "ISO27001 A.5.3"],
        tests: &[
            ("a sub-agent reviews for whom it acts", a::sub_agent),
            ("an alias with somebody's key", a::shared_key),
            (
                "a deputy beside whom they sign for, and a deputy's deputy",
                a::laundering_by_delegation,
            ),
            ("a review that has not seen the source", a::blind_review),
        ],
    },
    Control {
        id: "SOD-05",
        title: "Quorum for high risk",
        asserts: "a grant that rests on approvals has as many distinct humans behind it as were asked for, stage by stage, with the attributes that each stage asks for; a deputy and whom they sign for are one",
        criteria: &["SOC2 CC5.2", "NIST AC-3", "NIST AC-5"],
        tests: &[
            ("the same signer twice", a::same_signer_twice),
            (
                "a stage signed by somebody without its attribute, or by one person for two stages",
                a::stage_of_others,
            ),
            ("a grant whose yes was taken back", a::withdrawn_yes),
        ],
    },
    Control {
        id: "SOD-06",
        title: "Administrator is not auditor",
        asserts: "nobody administers who also audits, approves or answers for agents",
        criteria: &["SOC2 CC1.3", "NIST AC-5", "NIST AU-9(4)", "ISO27001 A.8.2"],
        tests: &[(
            "an administrator audits, an auditor signs, an administrator opens a case",
            a::administrator_audits,
        )],
    },
    Control {
        id: "ACC-01",
        title: "Least privilege",
        asserts: "every call and every use of a grant names the rule of a permission set that permits it",
        criteria: &[
            "SOC2 CC6.1",
            "SOC2 CC6.3",
            "NIST AC-3",
            "NIST AC-6(9)",
            "ISO27001 A.5.15",
            "EUAIA 14",
        ],
        tests: &[("a tool that is not listed", a::tool_not_listed)],
    },
    Control {
        id: "ACC-02",
        title: "Known identity",
        asserts: "every request that was not refused came from a principal in force, with a credential of its own",
        criteria: &["SOC2 CC6.1", "NIST IA-2", "NIST IA-5", "ISO27001 A.5.15"],
        tests: &[(
            "a revoked and a foreign credential",
            a::revoked_or_foreign_credential,
        )],
    },
    Control {
        id: "POL-01",
        title: "Decisions bound to clauses",
        asserts: "every recommendation cites at least one clause, each with the digest that the release in force has, and quotes only what it says",
        criteria: &["SOC2 CC5.3", "SOC2 PI1.2", "ISO42001 A.6.2.8", "EUAIA 12"],
        tests: &[(
            "an altered, an invented and an absent clause, and words that the clause does not have",
            a::altered_clause,
        )],
    },
    Control {
        id: "POL-02",
        title: "Policy change control",
        asserts: "wherever effects are real, a release was promoted by a human who is not its author, after its tests passed",
        criteria: &["SOC2 CC8.1", "NIST CM-3", "NIST CM-5", "ISO27001 A.8.32"],
        tests: &[("a unilateral change", a::unilateral_change)],
    },
    Control {
        id: "POL-03",
        title: "Environments apart",
        asserts: "every case ran, and every grant was used, under the release that its environment pointed at",
        criteria: &["SOC2 CC8.1", "NIST CM-3", "ISO27001 A.8.31"],
        tests: &[
            (
                "an approval of another environment",
                a::approval_of_another_environment,
            ),
            ("an approval of the release before", a::older_release),
            ("a case where nothing was promoted", a::case_without_release),
        ],
    },
    Control {
        id: "CHG-01",
        title: "Model and prompt pinned",
        asserts: "every recommendation was made with the model and the prompt that the release pins",
        criteria: &["SOC2 CC8.1", "NIST CM-3", "NIST SI-7", "ISO42001 A.6.2.6"],
        tests: &[("a drifted model and a drifted prompt", a::drifted)],
    },
    Control {
        id: "THR-01",
        title: "Thresholds bounded",
        asserts: "every threshold that was applied was signed by enough owners, in force, under its caps, and for no part of a larger action",
        criteria: &["SOC2 CC5.2", "SOC2 PI1.3", "NIST AC-3"],
        tests: &[
            ("one that nobody signed", a::unsigned_threshold),
            ("one that has expired", a::expired_threshold),
            (
                "an amount over the limit, none, and less than none",
                a::over_the_limit,
            ),
            (
                "amounts split until the caps are full",
                a::split_under_the_cap,
            ),
            ("parts of one within the window", a::parts_of_one),
            (
                "one that was signed with a credential that was revoked",
                a::threshold_of_an_ended_key,
            ),
        ],
    },
    Control {
        id: "THR-02",
        title: "Exceptions triaged",
        asserts: "no exception waited longer than three days for its triage",
        criteria: &["SOC2 CC7.3", "SOC2 CC4.2", "NIST AU-6", "NIST CA-7"],
        tests: &[(
            "an exception that waits too long is seen",
            super::assertions::overdue_is_seen,
        )],
    },
    Control {
        id: "HUM-01",
        title: "Human sign-off",
        asserts: "every approval is a human's signature, by a key of theirs, over the exact action that was executed, and what always needs a human went under no threshold",
        criteria: &["SOC2 CC5.2", "NIST AU-10", "EUAIA 14", "ISO42001 A.9.2"],
        tests: &[
            (
                "another's key, a changed statement, another action",
                a::forged_approval,
            ),
            (
                "arguments changed after approval",
                a::changed_after_approval,
            ),
            ("a grant used twice", a::used_twice),
            (
                "a threshold in place of a mandatory human step",
                a::threshold_in_place_of_a_human,
            ),
            ("a yes sooner than reading, and one too many", a::worn_down),
        ],
    },
    Control {
        id: "HUM-02",
        title: "Override, stop, break-glass",
        asserts: "every override has its reason, and its code where the release lists codes, no grant was used while a freeze stood against it, and every emergency had its signers and was reviewed by somebody else in its time",
        criteria: &["SOC2 CC7.4", "EUAIA 14", "EUAIA 26"],
        tests: &[
            ("a freeze holds", a::frozen),
            (
                "a second emergency before the first was reviewed, and one that nobody reviews",
                a::glass_again,
            ),
            ("an override without a reason", a::rejection_without_reason),
            (
                "an override without a reason code of the release",
                a::override_without_code,
            ),
        ],
    },
    Control {
        id: "LOG-01",
        title: "Tamper evidence",
        asserts: "every byte, signature and proof of the log is as it was signed",
        criteria: &[
            "SOC2 CC7.2",
            "NIST AU-9(4)",
            "NIST SI-7",
            "ISO27001 A.8.15",
            "ISO27001 A.5.28",
        ],
        tests: &[("edit, delete, reorder, truncate, fork", t::edited)],
    },
    Control {
        id: "LOG-02",
        title: "Completeness",
        asserts: "every outcome follows the use of a grant, every use an approval or a threshold, and none happened twice",
        criteria: &["SOC2 PI1.4", "NIST AU-12", "ISO27001 A.8.15", "EUAIA 12"],
        tests: &[
            ("an effect without its record", a::effect_without_record),
            ("the clock set back", a::clock_set_back),
        ],
    },
    Control {
        id: "RPL-01",
        title: "Re-performance",
        asserts: "every recorded decision comes out the same again",
        criteria: &["SOC2 PI1.3", "SOC2 CC4.1", "NIST AU-10"],
        tests: &[(
            "a decision that was recorded otherwise",
            t::decided_otherwise,
        )],
    },
    Control {
        id: "TRN-01",
        title: "Certified owners and approvers",
        asserts: "every approver was certified as the release asks when they signed and when the grant was used, and the owner of every agent whenever it acted",
        criteria: &["SOC2 CC1.4", "NIST AT-3", "NIST AT-4", "ISO27001 A.6.3"],
        tests: &[
            (
                "a certification that is over, when signing and when used",
                n::certification_over,
            ),
            (
                "another content, one's own word, another's key, too long ago",
                n::passed_otherwise,
            ),
            ("a course passed after signing", n::passed_late),
            ("an agent whose owner has lapsed", n::owner_lapsed),
        ],
    },
    Control {
        id: "RET-01",
        title: "Retention, hold, erasure",
        asserts: "nothing was erased under a legal hold, and nobody erased alone",
        criteria: &["SOC2 C1.2", "NIST AU-11", "ISO27001 A.5.33"],
        tests: &[("an erasure alone, and one under hold", a::erase_under_hold)],
    },
    Control {
        id: "ASM-01",
        title: "Independent assessment",
        asserts: "every control has a test and an assertion",
        criteria: &["SOC2 CC4.1", "NIST CA-2(1)"],
        tests: &[(
            "a control without a test would be seen",
            super::assertions::unmapped_is_seen,
        )],
    },
];
