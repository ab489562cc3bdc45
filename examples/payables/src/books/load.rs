//! CSV into books.

use std::{collections::BTreeMap, path::Path};

use csv::StringRecord;
use jiff::civil::Date;

use super::{Books, FILES, Invoice, Order, Receipt, Vendor};

/// Why the books cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// A file is missing or unreadable.
    #[error("cannot read `{file}`: {source}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// The texts handed in lack a file.
    #[error("the books have no file `{0}`")]
    Missing(&'static str),
    /// A file is no CSV with the expected columns, or a row is broken that must not be.
    #[error("`{file}` line {line}: {problem}; correct the file")]
    Broken {
        /// The file.
        file: &'static str,
        /// Counted from 1, the header included.
        line: u64,
        /// What is wrong.
        problem: String,
    },
}

pub(super) fn from_dir(dir: &Path) -> Result<Books, BooksError> {
    let mut files = BTreeMap::new();
    for name in FILES {
        let path = dir.join(name);
        let text = std::fs::read_to_string(&path).map_err(|source| BooksError::Read {
            file: path.display().to_string(),
            source,
        })?;
        files.insert(name.to_owned(), text);
    }
    from_files(&files)
}

pub(super) fn from_files(files: &BTreeMap<String, String>) -> Result<Books, BooksError> {
    let mut books = Books::default();
    each(files, FILES[0], VENDOR_COLUMNS, true, |row| {
        let id = row.text(0)?;
        let vendor = Vendor {
            name: row.text(1)?,
            contact: row.raw(2),
            iban: row.text(3)?,
            account: row.text(4)?,
            country: row.text(5)?,
            currency: row.text(6)?,
            status: row.text(7)?,
            sanctioned: row.yes(8)?,
            onboarded_on: row.date(9)?,
            account_changed_on: if row.raw(10).is_empty() {
                None
            } else {
                Some(row.date(10)?)
            },
            related_principal: row.raw(11),
        };
        unique(books.vendors.insert(id, vendor))
    })?;
    each(files, FILES[1], ORDER_COLUMNS, true, |row| {
        let order = Order {
            vendor_id: row.text(1)?,
            amount_cents: row.amount(2)?,
            currency: row.text(3)?,
            open: row.yes(4)?,
            description: row.raw(5),
        };
        unique(books.orders.insert(row.text(0)?, order))
    })?;
    each(files, FILES[2], RECEIPT_COLUMNS, true, |row| {
        let receipt = Receipt {
            received_cents: row.amount(1)?,
            complete: row.yes(2)?,
            last_received_on: row.date(3)?,
        };
        unique(books.receipts.insert(row.text(0)?, receipt))
    })?;
    each(files, FILES[3], INVOICE_COLUMNS, false, |row| {
        let index = books.invoices.len();
        let invoice = invoice(&row)?;
        unique(books.by_row.insert(invoice.row.clone(), index))?;
        if let Some(vendor) = &invoice.vendor_id {
            books
                .by_vendor
                .entry(vendor.clone())
                .or_default()
                .push(index);
        }
        books.invoices.push(invoice);
        Ok(())
    })?;
    Ok(books)
}

/// Reads what can be read; only a row without an id is an error.
fn invoice(row: &Row<'_>) -> Result<Invoice, String> {
    let mut problems = Vec::new();
    if row.record.len() != INVOICE_COLUMNS.len() {
        problems.push("the row has missing or surplus columns".to_owned());
    }
    let mut keep =
        |result: Result<String, String>| result.map_err(|problem| problems.push(problem)).ok();
    let number = keep(row.text(1));
    let vendor_id = keep(row.text(2));
    let currency = keep(row.text(5));
    let amount_cents = row.amount(4).map_err(|problem| problems.push(problem)).ok();
    let invoice_date = row.date(6).map_err(|problem| problems.push(problem)).ok();
    let received_date = row.date(7).map_err(|problem| problems.push(problem)).ok();
    Ok(Invoice {
        row: row.text(0)?,
        number,
        vendor_id,
        order_id: Some(row.raw(3)).filter(|id| !id.is_empty()),
        amount_cents,
        currency,
        invoice_date,
        received_date,
        memo: row.raw(8),
        problem: (!problems.is_empty()).then(|| problems.join("; ")),
    })
}

fn each(
    files: &BTreeMap<String, String>,
    file: &'static str,
    columns: &'static [&'static str],
    exact: bool,
    mut take: impl FnMut(Row<'_>) -> Result<(), String>,
) -> Result<(), BooksError> {
    let text = files.get(file).ok_or(BooksError::Missing(file))?;
    let broken = |line: u64, problem: String| BooksError::Broken {
        file,
        line,
        problem,
    };
    let mut reader = csv::ReaderBuilder::new()
        .flexible(!exact)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|e| broken(1, e.to_string()))?;
    if header != columns {
        return Err(broken(
            1,
            format!("the columns must be {}", columns.join(",")),
        ));
    }
    for record in reader.records() {
        let record = record.map_err(|e| {
            let line = e.position().map_or(0, csv::Position::line);
            broken(line, e.to_string())
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        take(Row {
            columns,
            record: &record,
        })
        .map_err(|problem| broken(line, problem))?;
    }
    Ok(())
}

fn unique<T>(earlier: Option<T>) -> Result<(), String> {
    match earlier {
        None => Ok(()),
        Some(_) => Err("the id occurs twice".to_owned()),
    }
}

/// One row. Problems name the column and never quote the field.
struct Row<'a> {
    columns: &'static [&'static str],
    record: &'a StringRecord,
}

impl Row<'_> {
    fn raw(&self, column: usize) -> String {
        self.record
            .get(column)
            .unwrap_or_default()
            .trim()
            .to_owned()
    }

    fn text(&self, column: usize) -> Result<String, String> {
        let text = self.raw(column);
        if text.is_empty() {
            return Err(format!("{} is missing", self.columns[column]));
        }
        Ok(text)
    }

    fn amount(&self, column: usize) -> Result<i64, String> {
        let name = self.columns[column];
        match self.text(column)?.parse::<i64>() {
            Err(_) => Err(format!("{name} is not a whole number of cents")),
            Ok(cents) if cents <= 0 => Err(format!("{name} is not above zero")),
            Ok(cents) if cents > MOST_CENTS => Err(format!("{name} is beyond all measure")),
            Ok(cents) => Ok(cents),
        }
    }

    fn date(&self, column: usize) -> Result<Date, String> {
        let name = self.columns[column];
        match self.text(column)?.parse::<Date>() {
            Err(_) => Err(format!("{name} is not a date written year-month-day")),
            Ok(date) if !(FIRST_YEAR..=LAST_YEAR).contains(&date.year()) => Err(format!(
                "{name} lies outside the years {FIRST_YEAR} to {LAST_YEAR}"
            )),
            Ok(date) => Ok(date),
        }
    }

    fn yes(&self, column: usize) -> Result<bool, String> {
        match self.raw(column).as_str() {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(format!("{} must be `yes` or `no`", self.columns[column])),
        }
    }
}

/// EUR 10 billion: beyond it a number is a slip of the pen.
const MOST_CENTS: i64 = 1_000_000_000_000;
const FIRST_YEAR: i16 = 2000;
const LAST_YEAR: i16 = 2099;

pub(crate) const VENDOR_COLUMNS: &[&str] = &[
    "id",
    "name",
    "contact",
    "iban",
    "account",
    "country",
    "currency",
    "status",
    "sanctioned",
    "onboarded_on",
    "account_changed_on",
    "related_principal",
];
pub(crate) const ORDER_COLUMNS: &[&str] = &[
    "id",
    "vendor_id",
    "amount_cents",
    "currency",
    "open",
    "description",
];
pub(crate) const RECEIPT_COLUMNS: &[&str] =
    &["order_id", "received_cents", "complete", "last_received_on"];
pub(crate) const INVOICE_COLUMNS: &[&str] = &[
    "row",
    "number",
    "vendor_id",
    "order_id",
    "amount_cents",
    "currency",
    "invoice_date",
    "received_date",
    "memo",
];
