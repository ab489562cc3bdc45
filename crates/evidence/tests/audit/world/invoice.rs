//! What the books say of an invoice.

use serde_json::{Value, json};

/// An invoice as the books know it.
#[derive(Clone, Debug)]
pub(crate) struct Invoice {
    pub(crate) amount: i64,
    pub(crate) vendor: String,
    pub(crate) sanctioned: bool,
    pub(crate) related: String,
    /// For how many days the vendor is known.
    pub(crate) known_days: i64,
}

impl Invoice {
    /// One that nothing is wrong with.
    pub(crate) fn of(amount: i64, vendor: &str) -> Self {
        Self {
            amount,
            vendor: vendor.to_owned(),
            sanctioned: false,
            related: String::new(),
            known_days: 2000,
        }
    }

    pub(super) fn answer(&self, tool: &str, row: &str) -> Value {
        let amount = self.amount;
        match tool {
            "books.invoice_read" => json!({
                "found": true, "malformed": false, "problem": "", "row": row, "number": "N-1", "vendor_id": self.vendor,
                "has_order": true, "order_id": "PO-1", "amount_cents": amount, "currency": "EUR",
                "invoice_date": "2026-05-20", "received_date": "2026-05-22", "memo": "for the garden",
            }),
            "books.vendor_read" => json!({
                "found": true, "id": self.vendor, "name": "Jane Doe Ltd", "status": "active", "sanctioned": self.sanctioned,
                "account": "A-1", "currency": "EUR", "account_changed_on": "", "related_principal": self.related,
                "country": "DE", "onboarded_on": "2020-01-01",
            }),
            "books.order_read" => json!({
                "found": true, "id": "PO-1", "vendor_id": self.vendor, "amount_cents": amount, "currency": "EUR", "open": true,
            }),
            "books.receipt_read" => json!({
                "found": true, "order_id": "PO-1", "received_cents": amount, "complete": true,
                "last_received_on": "2026-05-21",
            }),
            "books.related_read" => json!({
                "found": true, "row": row, "duplicates": 0, "duplicate_of": "", "same_number": false, "split_count": 1,
                "split_sum_cents": amount, "split_limit_cents": 250_000, "order_billed_cents": amount,
                "days_since_account_change": 900, "days_since_onboarding": self.known_days, "invoice_age_days": 12,
                "usual_amount_cents": amount, "previous_count": 9, "memo_instructs": false,
            }),
            other => panic!("the books have no {other}"),
        }
    }
}
