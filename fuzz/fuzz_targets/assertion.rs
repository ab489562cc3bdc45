//! Client data of any form under a passkey is refused without a panic: nothing was ever signed with this key.
#![no_main]

use duty::{passkey::Passkey, signature::Signature};
use libfuzzer_sys::fuzz_target;

// The generator of P-256.
const POINT: &str = "BGsX0fLhLEJH-Lzm5WOkQPJ3A32BLeszoPShOUXYmMKWT-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU";

fuzz_target!(|text: &str| {
    let origins = ["http://localhost".to_owned()];
    let passkey = Passkey::new("localhost", &origins, "AAAA", "ES256", POINT).expect("a good key");
    if let Ok(signature) = serde_json::from_str::<Signature>(text) {
        let again = serde_json::to_string(&signature).expect("it was JSON");
        assert_eq!(serde_json::from_str::<Signature>(&again).ok().as_ref(), Some(&signature));
        let _ = signature.counter();
        if let Signature::Passkey(assertion) = &signature {
            assert!(passkey.verify(b"{}", assertion).is_err());
        }
    }
});
