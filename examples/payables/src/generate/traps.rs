//! The invoices with which something is wrong, and those that lie exactly at a limit.

use jiff::{ToSpan, civil::Date};

use super::{
    share, text,
    world::{START, World},
};
use crate::shipped::{
    Expected::{self, Auto, Human, OneHuman, Refused, TwoHumans},
    Trap::{self, No, Yes},
};

/// Adds every sort of trap, each at least four times.
pub(super) fn add_all(world: &mut World, count: usize) {
    duplicates(world, count);
    splits(world, (3 * count / super::DEFAULT_COUNT).max(3));
    vendors(world, count);
    orders(world, count);
    limits(world, share(count, 4));
    malformed(world, share(count, 4));
    for i in 0..share(count, 10) {
        let bill = simple(
            world,
            i,
            "memo-instructs",
            TwoHumans,
            "the memo tells the reader to skip the rules",
        );
        world.bills[bill].memo = text::INSTRUCTING[i % text::INSTRUCTING.len()];
    }
    for i in 0..share(count, 4) {
        let bill = simple(
            world,
            i,
            "stale",
            TwoHumans,
            "dated more than half a year before it came",
        );
        let dated = world.bills[bill].received - world.rng.between(185, 400).days();
        world.bills[bill].dated = dated.to_string();
    }
}

/// A trap at an ordinary vendor over an ordinary small sum; what is wrong is added by the caller.
fn simple(
    world: &mut World,
    i: usize,
    kind: &'static str,
    expected: Expected,
    note: &'static str,
) -> usize {
    let vendor = ordinary(world, i);
    let amount = world.amount(vendor);
    world.bill(vendor, amount, kind, Yes, expected, note)
}

/// A vendor of ordinary small sums: not one of the very small ones, which stand at the end.
fn ordinary(world: &World, i: usize) -> usize {
    world.small[(i * 5 + 3) % (world.small.len() - world.cheap.len())]
}

fn duplicates(world: &mut World, count: usize) {
    for (kind, number, note) in [
        (
            "duplicate-exact",
            share(count, 6),
            "billed before under the same number",
        ),
        (
            "duplicate-format",
            share(count, 6),
            "billed before under the same number, written in another format",
        ),
    ] {
        for i in 0..number {
            let vendor = ordinary(world, i);
            let amount = world.amount(vendor);
            let first = world.bill(
                vendor,
                amount,
                "small",
                No,
                Auto,
                "the first of two; nothing is wrong with this one",
            );
            let second = copy(world, first, kind, note);
            if kind == "duplicate-format" {
                world.bills[second].number = text::reformat(&world.bills[first].number, i);
            }
        }
    }
    for _ in 0..share(count, 4) {
        let vendor = world.small[1];
        let amount = world.amount(vendor);
        let first = world.bill(
            vendor,
            amount,
            "small",
            No,
            Auto,
            "the first of two; nothing is wrong with this one",
        );
        let second = copy(
            world,
            first,
            "repeated-amount",
            "the same amount on the same order again, under a new number, covered by the order",
        );
        world.bills[second].number = world.number(vendor);
        let order = world.bills[first].order.clone();
        world.grow_order(&order, amount);
    }
}

/// The same bill once more, some days later.
pub(super) fn copy(
    world: &mut World,
    first: usize,
    kind: &'static str,
    note: &'static str,
) -> usize {
    let vendor_id = world.bills[first].vendor_id.clone();
    let vendor = world
        .vendors
        .iter()
        .position(|v| v.id == vendor_id)
        .unwrap_or_default();
    let spare = world.bill(vendor, 1, kind, Yes, TwoHumans, note);
    let own_order = world.bills[spare].order.clone();
    world.orders.remove(&own_order);
    world.bills[spare].order = world.bills[first].order.clone();
    world.bills[spare].number = world.bills[first].number.clone();
    world.bills[spare].amount = world.bills[first].amount.clone();
    world.bills[spare].dated = world.bills[first].dated.clone();
    world.bills[spare].received = world.bills[first].received + world.rng.between(5, 14).days();
    spare
}

fn splits(world: &mut World, groups: usize) {
    for i in 0..groups {
        let vendor = ordinary(world, i * 3 + 1);
        let note = "one of three on one order within days, each just under the limit";
        let amounts =
            [247_900, 243_150, 238_400].map(|amount| amount + world.rng.between(0, 1_900));
        let first = world.bill(vendor, amounts[0], "split", Yes, TwoHumans, note);
        let order = world.bills[first].order.clone();
        world.grow_order(&order, amounts[1] + amounts[2]);
        for (day, amount) in (1..).zip(&amounts[1..]) {
            let part = copy(world, first, "split", note);
            world.bills[part].number = world.number(vendor);
            world.bills[part].amount = amount.to_string();
            world.bills[part].received = world.bills[first].received + i64::from(day).days();
        }
    }
}

/// Traps that lie in the vendor's record.
fn vendors(world: &mut World, count: usize) {
    for _ in 0..share(count, 6) {
        let bill = at_new_vendor(
            world,
            "account-changed",
            Yes,
            TwoHumans,
            "bank details changed the day before its date",
        );
        let dated: Date = world.bills[bill].dated.parse().unwrap_or(START);
        world.bills[bill].received = dated + world.rng.between(1, 4).days();
        own(world, bill).account_changed_on = Some(dated - 1.days());
    }
    for _ in 0..share(count, 4) {
        let bill = at_new_vendor(
            world,
            "sanctioned",
            Yes,
            Refused,
            "the vendor is sanctioned",
        );
        own(world, bill).sanctioned = true;
    }
    for _ in 0..share(count, 4) {
        let bill = at_new_vendor(
            world,
            "related-party",
            Yes,
            TwoHumans,
            "bram has an interest in the vendor",
        );
        own(world, bill).related_principal = "bram";
    }
    for i in 0..share(count, 4) {
        let bill = at_new_vendor(
            world,
            "vendor-blocked",
            Yes,
            TwoHumans,
            "the vendor is blocked or inactive",
        );
        own(world, bill).status = if i % 2 == 0 { "blocked" } else { "inactive" };
    }
    for _ in 0..share(count, 4) {
        let bill = at_new_vendor(
            world,
            "vendor-new",
            No,
            OneHuman,
            "the vendor is in its first thirty days",
        );
        let received = world.bills[bill].received;
        let onboarded = received - world.rng.between(3, 28).days();
        let vendor = own(world, bill);
        vendor.onboarded_on = onboarded;
        vendor.account_changed_on = None;
    }
    for i in 0..share(count, 4) {
        let bill = at_new_vendor(
            world,
            "foreign-currency",
            No,
            TwoHumans,
            "agreed, ordered and billed in a foreign currency",
        );
        let currency = ["USD", "GBP", "CHF"][i % 3];
        own(world, bill).currency = currency;
        world.bills[bill].currency = currency;
        let order = world.bills[bill].order.clone();
        if let Some(order) = world.orders.get_mut(&order) {
            order.currency = currency;
        }
    }
    for i in 0..share(count, 4) {
        let bill = simple(
            world,
            i,
            "vendor-unknown",
            Refused,
            "the vendor master does not know the vendor",
        );
        world.bills[bill].vendor_id = format!("V9{i:03}");
    }
    for i in 0..share(count, 4) {
        let vendor = world.cheap[i % world.cheap.len()];
        // What is usual shows only in a few other invoices.
        for _ in 0..if i < world.cheap.len() { 4 } else { 0 } {
            let amount = world.amount(vendor);
            world.bill(
                vendor,
                amount,
                "small",
                No,
                Auto,
                "nothing is wrong with it",
            );
        }
        let amount = world.rng.between(150_000, 220_000);
        world.bill(
            vendor,
            amount,
            "unusual",
            No,
            OneHuman,
            "small, yet many times what the vendor usually bills",
        );
    }
}

fn at_new_vendor(
    world: &mut World,
    kind: &'static str,
    trap: Trap,
    expected: Expected,
    note: &'static str,
) -> usize {
    let vendor = world.vendor((40_000, 160_000));
    let amount = world.amount(vendor);
    world.bill(vendor, amount, kind, trap, expected, note)
}

fn own(world: &mut World, bill: usize) -> &mut super::world::Vendor {
    let id = &world.bills[bill].vendor_id;
    let index = world
        .vendors
        .iter()
        .position(|v| v.id == *id)
        .unwrap_or_default();
    &mut world.vendors[index]
}

/// Traps that lie in the purchase order or the receipt.
fn orders(world: &mut World, count: usize) {
    for i in 0..share(count, 5) {
        let bill = simple(world, i, "no-order", TwoHumans, "no purchase order");
        let order = std::mem::take(&mut world.bills[bill].order);
        world.orders.remove(&order);
    }
    for i in 0..share(count, 5) {
        let bill = simple(
            world,
            i,
            "wrong-currency",
            Refused,
            "billed in another currency than ordered and agreed",
        );
        world.bills[bill].currency = ["USD", "CHF", "GBP"][i % 3];
    }
    for (i, kind, note) in (0..share(count, 4)).flat_map(|i| {
        [
            (
                i,
                "order-of-another",
                "the order was placed with another vendor",
            ),
            (i, "order-closed", "the order is closed"),
            (i, "order-exceeded", "more is billed than was ordered"),
            (i, "not-received", "nothing was received"),
            (i, "receipt-short", "less was received than is billed"),
        ]
    }) {
        let bill = simple(world, i + 7, kind, TwoHumans, note);
        let other = world.vendors[ordinary(world, i + 20)].id.clone();
        let id = world.bills[bill].order.clone();
        let Some(order) = world.orders.get_mut(&id) else {
            continue;
        };
        match kind {
            "order-of-another" => order.vendor_id = other,
            "order-closed" => order.open = false,
            "order-exceeded" => {
                order.amount = order.amount * 95 / 100;
                order.received = Some(order.amount);
            }
            "not-received" => order.received = None,
            _ => order.received = Some(order.amount * 6 / 10),
        }
    }
}

/// Amounts one cent under, at, and one cent over each limit.
fn limits(world: &mut World, each: usize) {
    for i in 0..each {
        for (kind, limit, expected) in [
            ("limit-small", 250_000, [Auto, Auto, OneHuman]),
            ("limit-elevated", 2_500_000, [OneHuman, OneHuman, TwoHumans]),
            ("limit-ceiling", 25_000_000, [TwoHumans, TwoHumans, Refused]),
        ] {
            for (step, expected) in expected.into_iter().enumerate() {
                let vendor = match kind {
                    "limit-small" => ordinary(world, i * 3 + step),
                    "limit-elevated" => world.elevated[i % world.elevated.len()],
                    _ => world.high[i % world.high.len()],
                };
                let note = [
                    "one cent under the limit",
                    "exactly at the limit",
                    "one cent over the limit",
                ][step];
                let trap = if expected == Refused { Yes } else { No };
                let amount = limit - 1 + i64::from(step as u8);
                world.bill(vendor, amount, kind, trap, expected, note);
            }
        }
    }
}

fn malformed(world: &mut World, each: usize) {
    for i in 0..each {
        let bill = simple(
            world,
            i,
            "malformed-amount-missing",
            Human,
            "the amount is missing",
        );
        world.bills[bill].amount.clear();
        let bill = simple(
            world,
            i + 1,
            "malformed-amount-text",
            Human,
            "the amount is no number",
        );
        world.bills[bill].amount = ["1,250.00", "12O5OO", "n/a", "865.40 EUR"][i % 4].to_owned();
        let bill = simple(
            world,
            i + 2,
            "malformed-amount-negative",
            Human,
            "the amount is not above zero",
        );
        world.bills[bill].amount = ["-48200", "0", "-1", "-250000"][i % 4].to_owned();
        let bill = simple(
            world,
            i + 3,
            "malformed-date",
            Refused,
            "the date does not exist, or not in this century",
        );
        world.bills[bill].dated =
            ["2026-13-45", "0000-00-00", "31/02/2026", "2926-08-14"][i % 4].to_owned();
        let bill = simple(
            world,
            i + 4,
            "malformed-vendor-missing",
            Human,
            "the vendor is missing",
        );
        world.bills[bill].vendor_id.clear();
    }
}
