//! The company's books: vendors, orders, receipts and invoices, as read-only answers of flat scalar fields.
//!
//! Loading is lenient, as the books of a real company have to be: an invoice row that cannot be read in full is kept and
//! answered as malformed, without the fields that cannot be trusted. An answer never quotes a broken field.

mod load;
mod related;
mod server;

use std::{collections::BTreeMap, path::Path};

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use crate::{memo, number::Number};

pub use load::BooksError;
pub use server::{Options, ServeError, run};

/// The files that the books are read from.
pub const FILES: [&str; 4] = ["vendors.csv", "orders.csv", "receipts.csv", "invoices.csv"];

/// The books in memory, with the indexes that the answers need.
#[derive(Clone, Debug, Default)]
pub struct Books {
    vendors: BTreeMap<String, Vendor>,
    orders: BTreeMap<String, Order>,
    receipts: BTreeMap<String, Receipt>,
    invoices: Vec<Invoice>,
    by_row: BTreeMap<String, usize>,
    by_vendor: BTreeMap<String, Vec<usize>>,
}

#[derive(Clone, Debug)]
struct Vendor {
    name: String,
    contact: String,
    iban: String,
    account: String,
    country: String,
    currency: String,
    status: String,
    sanctioned: bool,
    onboarded_on: Date,
    account_changed_on: Option<Date>,
    related_principal: String,
}

#[derive(Clone, Debug)]
struct Order {
    vendor_id: String,
    amount_cents: i64,
    currency: String,
    open: bool,
    description: String,
}

#[derive(Clone, Debug)]
struct Receipt {
    received_cents: i64,
    complete: bool,
    last_received_on: Date,
}

/// An invoice as far as it could be read; `problem` says why not further.
#[derive(Clone, Debug)]
struct Invoice {
    row: String,
    number: Option<String>,
    vendor_id: Option<String>,
    order_id: Option<String>,
    amount_cents: Option<i64>,
    currency: Option<String>,
    invoice_date: Option<Date>,
    received_date: Option<Date>,
    memo: String,
    problem: Option<String>,
}

/// An invoice that could be read in full.
#[derive(Clone, Copy, Debug)]
struct Whole<'a> {
    index: usize,
    number: &'a str,
    vendor_id: &'a str,
    order_id: Option<&'a str>,
    amount_cents: i64,
    invoice_date: Date,
    received_date: Date,
}

impl Books {
    /// Reads the books from the files of `dir`.
    ///
    /// # Errors
    /// When a file is missing or is no CSV with the expected columns, or a row of the vendor master, the orders or the
    /// receipts is broken. A broken invoice row is no error.
    pub fn load(dir: &Path) -> Result<Self, BooksError> {
        load::from_dir(dir)
    }

    /// Reads the books from texts by file name, like those of [`data_files`](crate::data_files).
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn from_files(files: &BTreeMap<String, String>) -> Result<Self, BooksError> {
        load::from_files(files)
    }

    /// The row ids of all invoices in their order.
    #[must_use]
    pub fn rows(&self) -> Vec<String> {
        self.invoices
            .iter()
            .map(|invoice| invoice.row.clone())
            .collect()
    }

    /// The answer of one tool, like `invoice_read`; none where there is no such tool or its one argument is missing.
    ///
    /// # Errors
    /// What is wrong with the call.
    pub fn answer(&self, tool: &str, arguments: &Map<String, Value>) -> Result<Value, String> {
        let Some((_, argument)) = TOOLS.iter().find(|(name, _)| *name == tool) else {
            let known: Vec<_> = TOOLS.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "unknown tool `{tool}`; known are {}",
                known.join(", ")
            ));
        };
        if let Some(other) = arguments.keys().find(|name| name != argument) {
            return Err(format!(
                "`{tool}` takes no argument `{other}`, only `{argument}`"
            ));
        }
        let id = arguments
            .get(*argument)
            .and_then(Value::as_str)
            .ok_or(format!("`{tool}` needs the text argument `{argument}`"))?;
        Ok(match tool {
            "invoice_read" => self.invoice(id),
            "vendor_read" => self.vendor(id),
            "order_read" => self.order(id),
            "receipt_read" => self.receipt(id),
            _ => self.related(id),
        })
    }

    /// One invoice by its row id.
    #[must_use]
    pub fn invoice(&self, row: &str) -> Value {
        let Some(invoice) = self.by_row.get(row).map(|&index| &self.invoices[index]) else {
            return json!({"found": false, "row": row});
        };
        let mut answer = json!({
            "found": true,
            "row": invoice.row,
            "malformed": invoice.problem.is_some(),
            "has_order": invoice.order_id.is_some(),
            "memo": invoice.memo,
        });
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                answer[name] = value;
            }
        };
        put("problem", invoice.problem.as_ref().map(|v| json!(v)));
        put("number", invoice.number.as_ref().map(|v| json!(v)));
        put("vendor_id", invoice.vendor_id.as_ref().map(|v| json!(v)));
        put("order_id", invoice.order_id.as_ref().map(|v| json!(v)));
        put("amount_cents", invoice.amount_cents.map(|v| json!(v)));
        put("currency", invoice.currency.as_ref().map(|v| json!(v)));
        put(
            "invoice_date",
            invoice.invoice_date.map(|v| json!(v.to_string())),
        );
        put(
            "received_date",
            invoice.received_date.map(|v| json!(v.to_string())),
        );
        answer
    }

    /// One vendor of the master.
    #[must_use]
    pub fn vendor(&self, id: &str) -> Value {
        let Some(vendor) = self.vendors.get(id) else {
            return json!({"found": false, "id": id});
        };
        json!({
            "found": true,
            "id": id,
            "name": vendor.name,
            "contact": vendor.contact,
            "iban": vendor.iban,
            "account": vendor.account,
            "country": vendor.country,
            "currency": vendor.currency,
            "status": vendor.status,
            "sanctioned": vendor.sanctioned,
            "onboarded_on": vendor.onboarded_on.to_string(),
            "account_changed_on": vendor.account_changed_on.map(|d| d.to_string()).unwrap_or_default(),
            "related_principal": vendor.related_principal,
        })
    }

    /// One purchase order.
    #[must_use]
    pub fn order(&self, id: &str) -> Value {
        let Some(order) = self.orders.get(id) else {
            return json!({"found": false, "id": id});
        };
        json!({
            "found": true,
            "id": id,
            "vendor_id": order.vendor_id,
            "amount_cents": order.amount_cents,
            "currency": order.currency,
            "open": order.open,
            "description": order.description,
        })
    }

    /// What was received on one purchase order.
    #[must_use]
    pub fn receipt(&self, order_id: &str) -> Value {
        let Some(receipt) = self.receipts.get(order_id) else {
            return json!({"found": false, "order_id": order_id});
        };
        json!({
            "found": true,
            "order_id": order_id,
            "received_cents": receipt.received_cents,
            "complete": receipt.complete,
            "last_received_on": receipt.last_received_on.to_string(),
        })
    }

    /// What the other invoices and the vendor master say about one invoice.
    ///
    /// A malformed invoice is answered with `memo_instructs` alone: nothing else can be computed from it.
    #[must_use]
    pub fn related(&self, row: &str) -> Value {
        let Some(&index) = self.by_row.get(row) else {
            return json!({"found": false, "row": row});
        };
        let mut answer = json!({
            "found": true,
            "row": row,
            "memo_instructs": memo::instructs(&self.invoices[index].memo),
        });
        if let (Some(whole), Value::Object(fields)) = (self.whole(index), &mut answer) {
            related::add(self, whole, fields);
        }
        answer
    }

    fn whole(&self, index: usize) -> Option<Whole<'_>> {
        let invoice = &self.invoices[index];
        if invoice.problem.is_some() {
            return None;
        }
        Some(Whole {
            index,
            number: invoice.number.as_deref()?,
            vendor_id: invoice.vendor_id.as_deref()?,
            order_id: invoice.order_id.as_deref(),
            amount_cents: invoice.amount_cents?,
            invoice_date: invoice.invoice_date?,
            received_date: invoice.received_date?,
        })
    }

    /// All invoices of a vendor that could be read in full.
    fn of_vendor(&self, id: &str) -> impl Iterator<Item = Whole<'_>> {
        let indexes = self.by_vendor.get(id).into_iter().flatten();
        indexes.filter_map(|&index| self.whole(index))
    }
}

impl Whole<'_> {
    fn is_before(&self, other: &Self) -> bool {
        (self.received_date, self.index) < (other.received_date, other.index)
    }

    fn plain_number(&self) -> Number {
        Number::read(self.number)
    }
}

/// The columns of [`FILES`], in the same order.
pub(crate) fn columns() -> [&'static [&'static str]; 4] {
    [
        load::VENDOR_COLUMNS,
        load::ORDER_COLUMNS,
        load::RECEIPT_COLUMNS,
        load::INVOICE_COLUMNS,
    ]
}

/// The tools with their one argument.
const TOOLS: [(&str, &str); 5] = [
    ("invoice_read", "invoice_id"),
    ("vendor_read", "vendor_id"),
    ("order_read", "order_id"),
    ("receipt_read", "order_id"),
    ("related_read", "invoice_id"),
];
