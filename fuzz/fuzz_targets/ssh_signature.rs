//! An SSH key that reads is written in one form; whatever is no signature of OpenSSH's is taken for none.
#![no_main]

use duty::{signature::Signature, ssh::SshKey};
use libfuzzer_sys::fuzz_target;

const KEY: &str = include_str!("../../crates/duty/tests/core/ssh/ed25519.pub");
const MESSAGE: &[u8] = include_bytes!("../../crates/duty/tests/core/ssh/message");
const SIGNATURE: &str = include_str!("../../crates/duty/tests/core/ssh/ed25519.sig");

fuzz_target!(|text: &str| {
    if let Ok(key) = SshKey::read(text) {
        let line = key.to_string();
        assert_eq!(SshKey::read(&line).as_ref(), Ok(&key));
    }
    let key = SshKey::read(KEY).expect("a good key");
    if key.verify(MESSAGE, text).is_ok() {
        assert_eq!(text, SIGNATURE);
    }
    let _ = Signature::Text(text.to_owned()).counter();
});
