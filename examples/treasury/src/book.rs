//! The treasury's database: accounts, tokens, transfers.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, params,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Why the treasury did not do what it was asked.
///
/// Every variant but [`Doubtful`](TreasuryError::Doubtful) means that nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum TreasuryError {
    /// The database cannot be opened or read.
    #[error("cannot use the treasury database `{}`: {source}; create it with `--init`", path.display())]
    Open {
        /// The database file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A statement failed before the commit.
    #[error("the treasury database failed, nothing was changed: {0}")]
    Store(#[from] rusqlite::Error),
    /// The commit itself failed, so that nobody can say whether the transfer is on disk.
    #[error("the commit failed, the transfer may or may not exist: {0}")]
    Doubtful(rusqlite::Error),
    /// No token, or one that is not admitted.
    #[error("not authenticated: {0}")]
    Unauthenticated(&'static str),
    /// The request is refused.
    #[error("{0}")]
    Refuse(String),
    /// The server could not be started or broke off.
    #[error("the server over stdin and stdout failed: {0}")]
    Serve(String),
}

/// One executed transfer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// `T` and the sequence number, like `T000001`.
    pub id: String,
    /// The caller's key; at most one transfer exists per key.
    pub idempotency_key: String,
    /// Who was paid.
    pub vendor_id: String,
    /// The vendor's account by its internal id, where the caller named it.
    pub account: Option<String>,
    /// The vendor's IBAN, where the caller named it.
    pub iban: Option<String>,
    /// The invoice that was paid, where the caller named it.
    pub invoice_id: Option<String>,
    /// Above zero.
    pub amount_cents: i64,
    /// ISO 4217.
    pub currency: String,
    /// What the vendor reads on the statement.
    pub reference: String,
    /// Position in the order of execution, from 1.
    pub created_seq: i64,
}

/// What a transfer is asked with; unknown arguments are refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Order {
    pub(crate) idempotency_key: String,
    pub(crate) vendor_id: String,
    pub(crate) account: Option<String>,
    pub(crate) iban: Option<String>,
    pub(crate) invoice_id: Option<String>,
    pub(crate) amount_cents: i64,
    pub(crate) currency: String,
    pub(crate) reference: String,
}

/// The company's own account in one currency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) iban: String,
    pub(crate) currency: String,
    pub(crate) balance_cents: i64,
}

/// Creates the database at `path` where it is missing, with the company's accounts, and admits `token`.
///
/// Doing it again changes nothing.
///
/// # Errors
/// When the file cannot be created or is not a treasury database, or the token is empty.
pub fn init(path: &Path, token: &str) -> Result<(), TreasuryError> {
    let connection = connect(path, true)?;
    connection.execute_batch(SCHEMA)?;
    for (id, iban, currency) in ACCOUNTS {
        connection.execute(
            "INSERT OR IGNORE INTO accounts (id, vendor_id, iban, currency, balance_cents) VALUES (?1, NULL, ?2, ?3, ?4)",
            params![id, iban, currency, OPENING_BALANCE_CENTS],
        )?;
    }
    drop(connection);
    add_token(path, token)
}

/// Admits one more token. Only its SHA-256 is kept.
///
/// # Errors
/// When the database does not exist, or the token is empty.
pub fn add_token(path: &Path, token: &str) -> Result<(), TreasuryError> {
    if token.trim().is_empty() {
        return Err(TreasuryError::Refuse(
            "an empty token admits nobody".to_owned(),
        ));
    }
    connect(path, false)?.execute(
        "INSERT OR IGNORE INTO tokens (sha256) VALUES (?1)",
        [digest(token)],
    )?;
    Ok(())
}

/// All transfers in the order of their execution, read from the database itself and not through the server.
///
/// # Errors
/// When the database cannot be read.
pub fn transfers(path: &Path) -> Result<Vec<Transfer>, TreasuryError> {
    list(&connect(path, false)?, 0, i64::MAX)
}

/// Opens the database durably: a commit returns when the data is on disk.
pub(crate) fn connect(path: &Path, create: bool) -> Result<Connection, TreasuryError> {
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if create {
        flags |= OpenFlags::SQLITE_OPEN_CREATE;
    }
    let open = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Ok(connection)
    };
    open().map_err(|source| TreasuryError::Open {
        path: path.to_owned(),
        source,
    })
}

/// Whether `token` is admitted.
pub(crate) fn authenticate(
    connection: &Connection,
    token: Option<&str>,
) -> Result<(), TreasuryError> {
    let token = token.ok_or(TreasuryError::Unauthenticated(
        "`TREASURY_TOKEN` is not set in the server's environment",
    ))?;
    let known: Option<i64> = connection
        .query_row(
            "SELECT 1 FROM tokens WHERE sha256 = ?1",
            [digest(token)],
            |row| row.get(0),
        )
        .optional()?;
    known.map(|_| ()).ok_or(TreasuryError::Unauthenticated(
        "the token in `TREASURY_TOKEN` is not admitted",
    ))
}

/// Executes `order` unless its key was used; the flag says whether a transfer was created by this call.
pub(crate) fn create(
    connection: &mut Connection,
    order: &Order,
    before_commit: impl FnOnce(),
) -> Result<(Transfer, bool), TreasuryError> {
    validate(order)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if let Some(first) = find(&transaction, &order.idempotency_key)? {
        return if asked_the_same(&first, order) {
            Ok((first, false))
        } else {
            Err(TreasuryError::Refuse(format!(
                "idempotency key `{}` was used for transfer `{}` with other arguments; nothing was changed",
                order.idempotency_key, first.id
            )))
        };
    }
    debit(&transaction, order)?;
    let transfer = insert(&transaction, order)?;
    before_commit();
    transaction.commit().map_err(TreasuryError::Doubtful)?;
    Ok((transfer, true))
}

/// The transfer of this key.
pub(crate) fn find(connection: &Connection, key: &str) -> Result<Option<Transfer>, TreasuryError> {
    Ok(connection
        .query_row(
            &format!("SELECT {COLUMNS} FROM transfers WHERE idempotency_key = ?1"),
            [key],
            read_transfer,
        )
        .optional()?)
}

/// At most `limit` transfers after sequence number `after`.
pub(crate) fn list(
    connection: &Connection,
    after: i64,
    limit: i64,
) -> Result<Vec<Transfer>, TreasuryError> {
    let mut statement = connection.prepare(&format!(
        "SELECT {COLUMNS} FROM transfers WHERE created_seq > ?1 ORDER BY created_seq LIMIT ?2"
    ))?;
    let rows = statement.query_map([after, limit], read_transfer)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The company's account in `currency`.
pub(crate) fn account(
    connection: &Connection,
    currency: &str,
) -> Result<Option<Account>, TreasuryError> {
    Ok(connection
        .query_row(
            "SELECT id, iban, currency, balance_cents FROM accounts WHERE vendor_id IS NULL AND currency = ?1",
            [currency],
            |row| {
                Ok(Account {
                    id: row.get(0)?,
                    iban: row.get(1)?,
                    currency: row.get(2)?,
                    balance_cents: row.get(3)?,
                })
            },
        )
        .optional()?)
}

fn validate(order: &Order) -> Result<(), TreasuryError> {
    for (name, text) in [
        ("idempotency_key", &order.idempotency_key),
        ("vendor_id", &order.vendor_id),
        ("currency", &order.currency),
        ("reference", &order.reference),
    ] {
        if text.trim().is_empty() {
            return Err(TreasuryError::Refuse(format!("`{name}` must not be empty")));
        }
    }
    if order.amount_cents <= 0 {
        return Err(TreasuryError::Refuse(format!(
            "`amount_cents` is `{}`; it must be above zero",
            order.amount_cents
        )));
    }
    Ok(())
}

fn debit(transaction: &Transaction<'_>, order: &Order) -> Result<(), TreasuryError> {
    let from = account(transaction, &order.currency)?.ok_or_else(|| {
        TreasuryError::Refuse(format!(
            "the company holds no account in currency `{}`",
            order.currency
        ))
    })?;
    if from.balance_cents < order.amount_cents {
        return Err(TreasuryError::Refuse(format!(
            "insufficient funds: account `{}` holds {} cents, the transfer needs {}",
            from.id, from.balance_cents, order.amount_cents
        )));
    }
    transaction.execute(
        "UPDATE accounts SET balance_cents = balance_cents - ?2 WHERE id = ?1",
        params![from.id, order.amount_cents],
    )?;
    Ok(())
}

fn insert(transaction: &Transaction<'_>, order: &Order) -> Result<Transfer, TreasuryError> {
    let created_seq: i64 = transaction.query_row(
        "SELECT coalesce(max(created_seq), 0) + 1 FROM transfers",
        [],
        |row| row.get(0),
    )?;
    let transfer = Transfer {
        id: format!("T{created_seq:06}"),
        idempotency_key: order.idempotency_key.clone(),
        vendor_id: order.vendor_id.clone(),
        account: order.account.clone(),
        iban: order.iban.clone(),
        invoice_id: order.invoice_id.clone(),
        amount_cents: order.amount_cents,
        currency: order.currency.clone(),
        reference: order.reference.clone(),
        created_seq,
    };
    transaction.execute(
        &format!(
            "INSERT INTO transfers ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)"
        ),
        params![
            transfer.id,
            transfer.idempotency_key,
            transfer.vendor_id,
            transfer.account,
            transfer.iban,
            transfer.invoice_id,
            transfer.amount_cents,
            transfer.currency,
            transfer.reference,
            transfer.created_seq,
        ],
    )?;
    Ok(transfer)
}

fn asked_the_same(first: &Transfer, order: &Order) -> bool {
    first.vendor_id == order.vendor_id
        && first.account == order.account
        && first.iban == order.iban
        && first.invoice_id == order.invoice_id
        && first.amount_cents == order.amount_cents
        && first.currency == order.currency
        && first.reference == order.reference
}

fn read_transfer(row: &Row<'_>) -> rusqlite::Result<Transfer> {
    Ok(Transfer {
        id: row.get(0)?,
        idempotency_key: row.get(1)?,
        vendor_id: row.get(2)?,
        account: row.get(3)?,
        iban: row.get(4)?,
        invoice_id: row.get(5)?,
        amount_cents: row.get(6)?,
        currency: row.get(7)?,
        reference: row.get(8)?,
        created_seq: row.get(9)?,
    })
}

fn digest(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

const COLUMNS: &str = "id, idempotency_key, vendor_id, account, iban, invoice_id, amount_cents, currency, reference, created_seq";

/// Far more than the example ever spends: EUR 10 billion.
const OPENING_BALANCE_CENTS: i64 = 1_000_000_000_000;

/// The company's accounts; the account numbers are invented, with check digits that do not hold.
const ACCOUNTS: [(&str, &str, &str); 4] = [
    ("OPERATING-EUR", "DE00000000000000000001", "EUR"),
    ("OPERATING-USD", "DE00000000000000000002", "USD"),
    ("OPERATING-GBP", "DE00000000000000000003", "GBP"),
    ("OPERATING-CHF", "DE00000000000000000004", "CHF"),
];

const SCHEMA: &str = "
CREATE TABLE IF NOT EXISTS tokens (sha256 TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS accounts (
  id TEXT PRIMARY KEY,
  vendor_id TEXT,
  iban TEXT NOT NULL,
  currency TEXT NOT NULL,
  balance_cents INTEGER NOT NULL CHECK (balance_cents >= 0)
) STRICT;
CREATE TABLE IF NOT EXISTS transfers (
  id TEXT PRIMARY KEY,
  idempotency_key TEXT NOT NULL UNIQUE,
  vendor_id TEXT NOT NULL,
  account TEXT,
  iban TEXT,
  invoice_id TEXT,
  amount_cents INTEGER NOT NULL CHECK (amount_cents > 0),
  currency TEXT NOT NULL,
  reference TEXT NOT NULL,
  created_seq INTEGER NOT NULL UNIQUE
) STRICT;
";
