//! The company that the generator invents: vendors, orders with their receipts, and bills.

use std::collections::BTreeMap;

use jiff::{ToSpan, civil::Date};

use super::text;
use crate::shipped::{Expected, Trap};

/// splitmix64, as its author published it.
pub(super) struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub(super) fn between(&mut self, low: i64, high: i64) -> i64 {
        let width = high.abs_diff(low) + 1;
        low.saturating_add_unsigned(self.next() % width)
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[(self.next() % of.len() as u64) as usize]
    }
}

pub(super) struct Vendor {
    pub(super) id: String,
    name: String,
    iban: String,
    country: &'static str,
    pub(super) currency: &'static str,
    pub(super) status: &'static str,
    pub(super) sanctioned: bool,
    pub(super) onboarded_on: Date,
    pub(super) account_changed_on: Option<Date>,
    pub(super) related_principal: &'static str,
    /// What it usually bills, lowest and highest.
    band: (i64, i64),
    style: usize,
    next_number: i64,
}

pub(super) struct Order {
    pub(super) vendor_id: String,
    pub(super) amount: i64,
    pub(super) currency: &'static str,
    pub(super) open: bool,
    pub(super) received: Option<i64>,
    pub(super) delivered: Date,
    what: &'static str,
}

pub(super) struct Bill {
    pub(super) number: String,
    pub(super) vendor_id: String,
    pub(super) order: String,
    pub(super) amount: String,
    pub(super) currency: &'static str,
    pub(super) dated: String,
    pub(super) received: Date,
    pub(super) memo: &'static str,
    pub(super) kind: &'static str,
    pub(super) trap: Trap,
    pub(super) expected: Expected,
    pub(super) note: &'static str,
}

pub(super) struct World {
    pub(super) rng: Rng,
    pub(super) vendors: Vec<Vendor>,
    pub(super) orders: BTreeMap<String, Order>,
    pub(super) bills: Vec<Bill>,
    next_order: usize,
    /// Vendors by what they bill, as indexes: small sums, very small ones, elevated, high.
    pub(super) small: Vec<usize>,
    pub(super) cheap: Vec<usize>,
    pub(super) elevated: Vec<usize>,
    pub(super) high: Vec<usize>,
}

impl World {
    pub(super) fn new(seed: u64, count: usize) -> Self {
        let mut world = Self {
            rng: Rng(seed),
            vendors: Vec::new(),
            orders: BTreeMap::new(),
            bills: Vec::new(),
            next_order: 10_001,
            small: Vec::new(),
            cheap: Vec::new(),
            elevated: Vec::new(),
            high: Vec::new(),
        };
        let scaled = |at_default: usize| at_default * count / super::DEFAULT_COUNT + 1;
        for _ in 0..scaled(35) {
            let base = world.rng.between(70_000, 130_000);
            let vendor = world.vendor((base * 6 / 10, base * 16 / 10));
            world.small.push(vendor);
        }
        for _ in 0..4 {
            let vendor = world.vendor((8_000, 20_000));
            world.cheap.push(vendor);
            world.small.push(vendor);
        }
        for _ in 0..scaled(7) {
            let base = world.rng.between(500_000, 1_300_000);
            let vendor = world.vendor((base * 6 / 10, base * 16 / 10));
            world.elevated.push(vendor);
        }
        for _ in 0..scaled(2) {
            let base = world.rng.between(5_000_000, 12_000_000);
            let vendor = world.vendor((base * 6 / 10, base * 16 / 10));
            world.high.push(vendor);
        }
        world
    }

    /// A vendor in good standing.
    pub(super) fn vendor(&mut self, band: (i64, i64)) -> usize {
        let index = self.vendors.len();
        let country = self.rng.pick(text::COUNTRIES);
        let first = self.rng.pick(text::NAMES);
        let trade = self.rng.pick(text::TRADES);
        let years_ago = self.rng.between(400, 3_000);
        let digits = self.rng.between(1_000_000_000, 9_999_999_999);
        let changed =
            (self.rng.between(0, 4) == 0).then(|| START - self.rng.between(120, 390).days());
        self.vendors.push(Vendor {
            id: format!("V{:04}", index + 1),
            name: format!("{first} {trade} {}", text::legal_form(country)),
            // Invented: check digits of 00 never hold.
            iban: format!("{country}00000000{digits}"),
            country,
            currency: "EUR",
            status: "active",
            sanctioned: false,
            onboarded_on: START - years_ago.days(),
            account_changed_on: changed,
            related_principal: "",
            band,
            style: index,
            next_number: self.rng.between(11, 380),
        });
        index
    }

    /// What this vendor might bill.
    pub(super) fn amount(&mut self, vendor: usize) -> i64 {
        let (low, high) = self.vendors[vendor].band;
        self.rng.between(low, high)
    }

    /// A bill that matches an order and a receipt of its own, from a vendor as it stands.
    pub(super) fn bill(
        &mut self,
        vendor: usize,
        amount: i64,
        kind: &'static str,
        trap: Trap,
        expected: Expected,
        note: &'static str,
    ) -> usize {
        let received = START + self.rng.between(0, 60).days();
        let dated = received - self.rng.between(2, 12).days();
        let order = format!("PO{:05}", self.next_order);
        self.next_order += 1;
        let what = self.rng.pick(text::GOODS);
        let memo = self.rng.pick(text::MEMOS);
        let number = self.number(vendor);
        let Vendor { id, currency, .. } = &self.vendors[vendor];
        self.orders.insert(
            order.clone(),
            Order {
                vendor_id: id.clone(),
                amount,
                currency,
                open: true,
                received: Some(amount),
                delivered: dated - 1.days(),
                what,
            },
        );
        self.bills.push(Bill {
            number,
            vendor_id: id.clone(),
            order,
            amount: amount.to_string(),
            currency,
            dated: dated.to_string(),
            received,
            memo,
            kind,
            trap,
            expected,
            note,
        });
        self.bills.len() - 1
    }

    /// The vendor's next invoice number, in the vendor's own style.
    pub(super) fn number(&mut self, vendor: usize) -> String {
        let vendor = &mut self.vendors[vendor];
        let n = vendor.next_number;
        vendor.next_number += 1;
        match vendor.style % 4 {
            0 => format!("INV-2026-{n:04}"),
            1 => format!("RE-{n:05}"),
            2 => format!("F26/{n:04}"),
            _ => format!("INV-{n:04}"),
        }
    }

    /// More was ordered and received than the first bill says.
    pub(super) fn grow_order(&mut self, id: &str, by: i64) {
        if let Some(order) = self.orders.get_mut(id) {
            order.amount += by;
            order.received = order.received.map(|received| received + by);
        }
    }
}

impl Vendor {
    pub(super) fn fields(&self) -> [String; 12] {
        let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
        [
            self.id.clone(),
            self.name.clone(),
            format!("billing@{}.example", self.id.to_lowercase()),
            self.iban.clone(),
            self.id.replace('V', "A"),
            self.country.to_owned(),
            self.currency.to_owned(),
            self.status.to_owned(),
            yes(self.sanctioned),
            self.onboarded_on.to_string(),
            self.account_changed_on
                .map(|d| d.to_string())
                .unwrap_or_default(),
            self.related_principal.to_owned(),
        ]
    }
}

impl Order {
    pub(super) fn fields(&self, id: &str) -> [String; 6] {
        [
            id.to_owned(),
            self.vendor_id.clone(),
            self.amount.to_string(),
            self.currency.to_owned(),
            if self.open { "yes" } else { "no" }.to_owned(),
            self.what.to_owned(),
        ]
    }
}

impl Bill {
    pub(super) fn fields(&self, row: &str) -> [String; 9] {
        [
            row.to_owned(),
            self.number.clone(),
            self.vendor_id.clone(),
            self.order.clone(),
            self.amount.clone(),
            self.currency.to_owned(),
            self.dated.clone(),
            self.received.to_string(),
            self.memo.to_owned(),
        ]
    }
}

/// The first day on which invoices come in.
pub(super) const START: Date = jiff::civil::date(2026, 8, 3);
