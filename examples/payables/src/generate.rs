//! The generator of the books: the same seed and count give the same files, byte for byte.
//!
//! It draws from a small generator of its own, so that no library's next version changes the data.

mod text;
mod traps;
mod world;

use std::collections::BTreeMap;

use crate::{
    books::FILES,
    shipped::{Answer, Expected, Trap},
};

use world::World;

/// The seed of the shipped data.
pub const DEFAULT_SEED: u64 = 2026;

/// How many invoices the shipped data holds.
pub const DEFAULT_COUNT: usize = 500;

/// The fewest invoices that hold every sort of trap; smaller counts are raised to it.
pub const LEAST_COUNT: usize = 250;

/// Generated books, and what should become of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Data {
    /// CSV texts by file name, as [`Books::from_files`](crate::books::Books::from_files) reads them.
    pub files: BTreeMap<String, String>,
    /// One answer per invoice, in the order of the invoices.
    pub answers: Vec<Answer>,
}

impl Data {
    /// The answers as CSV.
    #[must_use]
    pub fn answers_csv(&self) -> String {
        let mut writer = csv::Writer::from_writer(Vec::new());
        for answer in &self.answers {
            writer
                .serialize(answer)
                .expect("INVARIANT: an answer is five plain fields, written to memory");
        }
        finish(writer)
    }
}

/// Generates books with `count` invoices: about 60 % small and harmless, 12 % elevated, 4 % high, the rest traps.
#[must_use]
pub fn generate(seed: u64, count: usize) -> Data {
    let count = count.max(LEAST_COUNT);
    let mut world = World::new(seed, count);
    traps::add_all(&mut world, count);
    add_clean(&mut world, "high", share(count, 8), Expected::TwoHumans);
    add_clean(&mut world, "elevated", share(count, 48), Expected::OneHuman);
    add_pairs(&mut world, share(count, 10));
    let rest = count.saturating_sub(world.bills.len());
    add_clean(&mut world, "small", rest, Expected::Auto);
    write(world)
}

/// What `at_default` of the default count comes to for `count`; at least four.
fn share(count: usize, at_default: usize) -> usize {
    (at_default * count / DEFAULT_COUNT).max(4)
}

fn add_clean(world: &mut World, kind: &'static str, number: usize, expected: Expected) {
    for i in 0..number {
        let pool = match kind {
            "small" => &world.small,
            "elevated" => &world.elevated,
            _ => &world.high,
        };
        let vendor = pool[i % pool.len()];
        let amount = world.amount(vendor);
        world.bill(
            vendor,
            amount,
            kind,
            Trap::No,
            expected,
            "nothing is wrong with it",
        );
    }
}

/// Orders that were ordered at once, and delivered and billed in two parts.
fn add_pairs(world: &mut World, pairs: usize) {
    let note = "one of two parts of an order, delivered and billed apart";
    for i in 0..pairs {
        let vendor = world.small[i * 3 % world.small.len()];
        let amount = world.amount(vendor);
        let rest = amount * 7 / 10;
        let first = world.bill(vendor, amount, "small", Trap::No, Expected::Auto, note);
        let second = traps::copy(world, first, "small", note);
        let order = world.bills[first].order.clone();
        world.grow_order(&order, rest);
        let number = world.number(vendor);
        let bill = &mut world.bills[second];
        bill.number = number;
        bill.amount = rest.to_string();
        bill.trap = Trap::No;
        bill.expected = Expected::Auto;
    }
}

fn write(mut world: World) -> Data {
    world.bills.sort_by_key(|bill| bill.received);
    let mut vendors = csv::Writer::from_writer(Vec::new());
    let mut orders = csv::Writer::from_writer(Vec::new());
    let mut receipts = csv::Writer::from_writer(Vec::new());
    let mut invoices = csv::Writer::from_writer(Vec::new());
    let columns = crate::books::columns();
    for (writer, columns) in [&mut vendors, &mut orders, &mut receipts, &mut invoices]
        .into_iter()
        .zip(columns)
    {
        put(writer, columns);
    }
    for vendor in &world.vendors {
        put(&mut vendors, vendor.fields());
    }
    for (id, order) in &world.orders {
        put(&mut orders, order.fields(id));
        if let Some(received) = order.received {
            let complete = if received >= order.amount {
                "yes"
            } else {
                "no"
            };
            put(
                &mut receipts,
                [
                    id.clone(),
                    received.to_string(),
                    complete.to_owned(),
                    order.delivered.to_string(),
                ],
            );
        }
    }
    let mut answers = Vec::new();
    for (i, bill) in world.bills.iter().enumerate() {
        let row = format!("R{:04}", i + 1);
        put(&mut invoices, bill.fields(&row));
        answers.push(Answer {
            row,
            kind: bill.kind.to_owned(),
            trap: bill.trap,
            expected: bill.expected,
            note: bill.note.to_owned(),
        });
    }
    let texts = [vendors, orders, receipts, invoices].map(finish);
    let files = FILES.into_iter().map(str::to_owned).zip(texts).collect();
    Data { files, answers }
}

fn put<T: AsRef<[u8]>>(writer: &mut csv::Writer<Vec<u8>>, fields: impl IntoIterator<Item = T>) {
    writer
        .write_record(fields)
        .expect("INVARIANT: rows of one file have one length and are written to memory");
}

fn finish(writer: csv::Writer<Vec<u8>>) -> String {
    let bytes = writer
        .into_inner()
        .expect("INVARIANT: writing to memory does not fail");
    String::from_utf8(bytes).expect("INVARIANT: only text was written")
}
