//! What the other invoices and the vendor master say about one invoice.

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::{Books, Whole};

/// Adds the fields of `related_read` that need an invoice read in full.
pub(super) fn add(books: &Books, this: Whole<'_>, fields: &mut Map<String, Value>) {
    let others: Vec<Whole<'_>> = books
        .of_vendor(this.vendor_id)
        .filter(|other| other.index != this.index)
        .collect();
    let mut put = |name: &str, value: Value| {
        fields.insert(name.to_owned(), value);
    };

    let (duplicates, same_number) = duplicates(&this, &others);
    put("duplicates", json!(duplicates.len()));
    put("same_number", json!(same_number));
    let first = duplicates.iter().min_by_key(|d| (d.received_date, d.index));
    put(
        "duplicate_of",
        json!(first.map_or("", |d| books.invoices[d.index].row.as_str())),
    );

    let parts: Vec<i64> = others
        .iter()
        .filter(|other| {
            same_order(&this, other)
                && days(this.received_date, other.received_date).abs() <= SPLIT_DAYS
        })
        .map(|other| other.amount_cents)
        .collect();
    put("split_count", json!(parts.len() + 1));
    put(
        "split_sum_cents",
        json!(sum(&parts).saturating_add(this.amount_cents)),
    );
    put("split_limit_cents", json!(limit_above(this.amount_cents)));

    let billed: Vec<i64> = others
        .iter()
        .filter(|other| same_order(&this, other) && other.is_before(&this))
        .map(|other| other.amount_cents)
        .collect();
    put(
        "order_billed_cents",
        json!(sum(&billed).saturating_add(this.amount_cents)),
    );

    let amounts: Vec<i64> = others.iter().map(|other| other.amount_cents).collect();
    put("usual_amount_cents", json!(usual(amounts)));
    put(
        "previous_count",
        json!(others.iter().filter(|other| other.is_before(&this)).count()),
    );
    put(
        "invoice_age_days",
        json!(days(this.received_date, this.invoice_date)),
    );
    if let Some(vendor) = books.vendors.get(this.vendor_id) {
        let changed = vendor
            .account_changed_on
            .map_or(NEVER_DAYS, |on| days(this.received_date, on));
        put("days_since_account_change", json!(changed));
        put(
            "days_since_onboarding",
            json!(days(this.received_date, vendor.onboarded_on)),
        );
    }
}

/// Earlier invoices of which this one is a duplicate (DUP-1.2 to DUP-1.4), and whether one bears the same number.
fn duplicates<'a>(this: &Whole<'_>, others: &[Whole<'a>]) -> (Vec<Whole<'a>>, bool) {
    let number = this.plain_number();
    let mut same_number = false;
    let found = others
        .iter()
        .filter(|other| other.is_before(this))
        .filter(|other| {
            let number = number.same(&other.plain_number());
            same_number |= number;
            number
                || same_order(this, other)
                    && other.amount_cents == this.amount_cents
                    && days(this.received_date, other.received_date) <= REPEAT_DAYS
        })
        .copied()
        .collect();
    (found, same_number)
}

fn same_order(a: &Whole<'_>, b: &Whole<'_>) -> bool {
    a.order_id.is_some() && a.order_id == b.order_id
}

/// Whole days from `since` to `until`; negative where `since` is later.
fn days(until: Date, since: Date) -> i64 {
    i64::from((until - since).get_days())
}

fn sum(amounts: &[i64]) -> i64 {
    amounts
        .iter()
        .fold(0, |sum, amount| sum.saturating_add(*amount))
}

/// The approval limit under which an amount falls (PAY-2.1, PAY-2.3, PAY-2.4); itself where it is above all.
fn limit_above(amount_cents: i64) -> i64 {
    LIMITS
        .into_iter()
        .find(|limit| amount_cents <= *limit)
        .unwrap_or(amount_cents)
}

/// The median; 0 where there are too few to call anything usual.
fn usual(mut amounts: Vec<i64>) -> i64 {
    if amounts.len() < FEW {
        return 0;
    }
    amounts.sort_unstable();
    amounts[amounts.len() / 2]
}

/// Invoices on one order within so many days count as one (PAY-2.6).
const SPLIT_DAYS: i64 = 3;

/// The same amount on the same order within so many days is presumed to be a repeated billing (DUP-1.4).
const REPEAT_DAYS: i64 = 30;

/// Stands for bank details that never changed.
const NEVER_DAYS: i64 = 36_500;

const FEW: usize = 3;

const LIMITS: [i64; 3] = [250_000, 2_500_000, 25_000_000];
