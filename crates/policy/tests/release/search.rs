//! Retrieval.

use policy::Release;
use proptest::prelude::*;

use crate::small::files;

fn search(release: &Release, text: &str) -> Vec<policy::Found> {
    let query = policy::Query {
        text,
        vector: None,
        at: duty::time::Time::EPOCH,
    };
    release.search(&query, 8).unwrap()
}

#[test]
fn retrieval_finds_by_meaningful_words() {
    let release = Release::from_files(files()).unwrap();
    let found = search(&release, "payments that are large, who approves?");
    assert_eq!(found[0].clause.id, "PAY-1.2");
    assert!(search(&release, "").is_empty());
}

proptest! {
    #[test]
    fn any_query_is_safe_and_ranks_the_same(query in ".{0,80}") {
        let release = Release::from_files(files()).unwrap();
        prop_assert_eq!(search(&release, &query), search(&release, &query));
    }
}
