//! When two invoice numbers are one number (clause DUP-1.3).

use crate::memo::narrow;

/// An invoice number in the forms in which it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number {
    /// Letters and digits alone, upper case.
    whole: String,
    /// The same with leading zeros removed from every run of digits.
    bare: String,
}

impl Number {
    /// Reads a number as it is printed.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let (mut whole, mut bare) = (String::new(), String::new());
        let mut leading = true;
        for c in text.chars().map(narrow).flat_map(char::to_uppercase) {
            if !c.is_alphanumeric() {
                leading = true;
                continue;
            }
            whole.push(c);
            if c == '0' && leading {
                continue;
            }
            bare.push(c);
            leading = !c.is_ascii_digit();
        }
        Self { whole, bare }
    }

    /// Whether both are one number written in two ways. A number without letters and digits is like no other.
    #[must_use]
    pub fn same(&self, other: &Self) -> bool {
        let equal = |a: &String, b: &String| !a.is_empty() && a == b;
        equal(&self.whole, &other.whole)
            || equal(&self.bare, &other.bare)
            || equal(&self.whole, &other.bare)
            || equal(&self.bare, &other.whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(a: &str, b: &str) -> bool {
        Number::read(a).same(&Number::read(b))
    }

    #[test]
    fn formats_of_one_number_are_one() {
        for other in [
            "inv 42",
            "INV0042",
            "Inv. 42",
            "ＩＮＶ－００４２",
            "inv/0042",
        ] {
            assert!(same("INV-0042", other), "{other}");
        }
        assert!(same("INV-2026-0042", "inv 2026/42"));
        assert!(same("INV-2026-0042", "INV20260042"));
    }

    #[test]
    fn different_numbers_differ() {
        for (a, b) in [
            ("INV-42", "INV-420"),
            ("INV-42", "INV-402"),
            ("INV-42", "RE-42"),
            ("", ""),
            ("--", ".."),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }
}
