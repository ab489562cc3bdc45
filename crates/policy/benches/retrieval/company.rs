//! Other policies of the same company: plausible clauses that share words with those of the example and answer none of its
//! questions. Always the same ones.

use std::collections::BTreeMap;

/// Departments with the matters that their policies are about.
const AREAS: &[(&str, &str, &[&str])] = &[
    (
        "TRV",
        "Travel and Expenses Policy",
        &[
            "hotel booking",
            "rail ticket",
            "mileage claim",
            "travel advance",
            "taxi receipt",
            "business meal",
            "conference fee",
            "rental car",
            "per diem allowance",
            "visa cost",
        ],
    ),
    (
        "HRM",
        "Human Resources Policy",
        &[
            "parental leave",
            "employment contract",
            "probation period",
            "personnel file",
            "training request",
            "remote work",
            "overtime record",
            "performance review",
            "side job",
            "reference letter",
        ],
    ),
    (
        "ITS",
        "Information Security Policy",
        &[
            "password reset",
            "laptop",
            "access badge",
            "software licence",
            "backup tape",
            "mobile phone",
            "firewall change",
            "user account",
            "incident ticket",
            "encryption key",
        ],
    ),
    (
        "FAC",
        "Facilities Policy",
        &[
            "meeting room",
            "parking space",
            "office key",
            "fire drill",
            "cleaning contract",
            "visitor badge",
            "furniture order",
            "air conditioning",
            "locker",
            "canteen card",
        ],
    ),
    (
        "LEG",
        "Contracts Policy",
        &[
            "framework agreement",
            "confidentiality agreement",
            "power of attorney",
            "contract amendment",
            "notice of termination",
            "guarantee",
            "liability clause",
            "court summons",
            "trademark filing",
            "signature page",
        ],
    ),
    (
        "SAL",
        "Sales Policy",
        &[
            "customer discount",
            "quotation",
            "credit note to a customer",
            "dunning letter to a customer",
            "reseller bonus",
            "price list",
            "sample delivery",
            "customer complaint",
            "export order",
            "sales forecast",
        ],
    ),
    (
        "WHS",
        "Warehouse Policy",
        &[
            "stock count",
            "pallet",
            "return shipment",
            "hazardous material",
            "forklift",
            "customs declaration",
            "spare part",
            "damaged parcel",
            "storage location",
            "packing list",
        ],
    ),
    (
        "TAX",
        "Tax and Accounting Policy",
        &[
            "depreciation schedule",
            "accrual",
            "closing calendar",
            "intercompany loan",
            "tax return",
            "asset disposal",
            "petty cash",
            "journal entry",
            "audit request",
            "provision",
        ],
    ),
    (
        "DPR",
        "Data Protection Policy",
        &[
            "consent form",
            "subject access request",
            "data processor",
            "retention period",
            "video camera",
            "mailing list",
            "data breach",
            "anonymous survey",
            "applicant file",
            "cookie notice",
        ],
    ),
    (
        "ENV",
        "Environment and Safety Policy",
        &[
            "waste container",
            "safety helmet",
            "chemical store",
            "accident report",
            "noise measurement",
            "energy audit",
            "first aid kit",
            "ladder check",
            "emission record",
            "water sample",
        ],
    ),
];
const WHO: &[&str] = &[
    "the head of the department",
    "the budget holder",
    "Procurement",
    "Internal Control",
    "the line manager",
    "the Controller",
    "Human Resources",
    "the data protection officer",
    "the site manager",
    "Legal",
];
const DOES: &[&str] = &[
    "approves",
    "reviews",
    "registers",
    "signs",
    "checks",
    "releases",
    "refuses",
    "confirms",
    "records",
    "reports",
];
const WHEN: &[&str] = &[
    "before it is ordered",
    "within five working days",
    "once a year",
    "on the same day",
    "at the end of the month",
    "after thirty days",
    "before the invoice is received",
    "in the first week",
    "every night",
    "when it expires",
];
const TITLES: &[&str] = &[
    "Approval of",
    "Request for",
    "Duty to record",
    "Expiry of",
    "Exceptions for",
    "Responsibility for",
    "Change of",
    "Limits for",
    "Review of",
    "Loss of",
];
const MORE: &[&str] = &[
    "A second person is asked where the amount exceeds EUR {n}.00.",
    "Nobody decides in a matter of their own.",
    "The form is kept for {n} months and then destroyed.",
    "Where the {m} is urgent, the reason is stated in writing.",
    "An agent may prepare the form, and a human signs it.",
    "The vendor of the {m} is taken from the list that Procurement keeps.",
    "What was paid in advance is settled against the receipt.",
    "A {m} that was refused is not submitted again without a change.",
    "The currency is that of the country in which the site is.",
    "Duplicates of a {m} are reported to Internal Control.",
    "The threshold is reviewed every {n} days.",
    "Bank details of employees are changed by Human Resources alone.",
];

/// So many clauses, in documents that a record of the log can hold.
pub(crate) fn policies(count: usize) -> BTreeMap<String, String> {
    let mut dice = Dice(2_026);
    let mut files = BTreeMap::new();
    let (mut made, mut document) = (0, 0);
    while made < count {
        let (prefix, title, matters) = AREAS[document % AREAS.len()];
        // Letters name the site, so that ids stay apart.
        let site: String = format!("{:03}", document / AREAS.len())
            .bytes()
            .map(|b| char::from(b - b'0' + b'A'))
            .collect();
        let prefix = format!("{prefix}{site}");
        let mut text = format!("# {title}\n\n<!-- document: {prefix}, edition: 1 -->\n");
        for section in 1..=5 {
            text.push_str(&format!("\n## {section}. {}\n", pick(&mut dice, matters)));
            for clause in 1..=10 {
                if made == count {
                    break;
                }
                made += 1;
                let matter = pick(&mut dice, matters);
                let heading = pick(&mut dice, TITLES);
                text.push_str(&format!(
                    "\n### {prefix}-{section}.{clause} {heading} {matter}\n\n"
                ));
                text.push_str(&format!(
                    "A {matter} is something that {} {} {}.",
                    pick(&mut dice, WHO),
                    pick(&mut dice, DOES),
                    pick(&mut dice, WHEN)
                ));
                for _ in 0..2 + dice.roll(3) {
                    let n = (1 + dice.roll(40)) * 50;
                    let more = pick(&mut dice, MORE).replace("{n}", &n.to_string());
                    text.push_str(&format!(" {}", more.replace("{m}", matter)));
                }
                text.push('\n');
            }
        }
        // Sections that came out empty say nothing.
        files.insert(format!("policies/other-{document:04}.md"), text);
        document += 1;
    }
    files
}

fn pick<'t>(dice: &mut Dice, from: &[&'t str]) -> &'t str {
    from[dice.roll(from.len() as u64) as usize]
}

/// Numbers that look like chance and are always the same (xorshift).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % below
    }
}
