//! `release tools` and `release pin`: what servers offer, and what a release holds of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use gateway::upstream::Upstream;
use policy::{Pin, Release};
use serde_json::{Value, json};

use crate::{
    cli::{Form, Pinning},
    fail::Failure,
    show::{self, Listing},
    targets::{TARGETS, upstreams},
};

/// What became of a tool since it was pinned.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Same,
    Changed,
    New,
    Gone,
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Same => "as pinned",
            Self::Changed => "changed",
            Self::New => "not pinned",
            Self::Gone => "gone",
        }
    }
}

/// Lists what the servers of a data directory offer now, and how that differs from a release's pins.
pub(crate) async fn list(dir: &Path, release: Option<&Release>, form: Form) -> Result<(), Failure> {
    let none = BTreeMap::new();
    let pins = release.map_or(&none, Release::pins);
    let mut listing = Listing::new(
        form.json,
        &["tool", "now", "since it was pinned", "description"],
    );
    let mut lines = Vec::new();
    let (mut changed, mut silent) = (0, 0);
    for (server, upstream) in upstreams(dir)? {
        let offers = match upstream.offers().await {
            Ok(offers) => offers,
            Err(why) => {
                eprintln!("`{server}`: {why}");
                silent += 1;
                continue;
            }
        };
        let pinned = pins.iter().filter_map(|(name, pin)| {
            Some((name.strip_prefix(server.as_str())?.strip_prefix('.')?, pin))
        });
        let pinned: BTreeMap<_, _> = pinned.collect();
        let names: BTreeSet<&str> = offers
            .keys()
            .map(String::as_str)
            .chain(pinned.keys().copied())
            .collect();
        for name in names {
            let (now, then) = (offers.get(name), pinned.get(name).copied());
            let fate = match (now, then) {
                (Some(now), Some(then)) if now.digest() == then.digest() => Fate::Same,
                (Some(_), Some(_)) => Fate::Changed,
                (None, _) => Fate::Gone,
                (Some(_), None) => Fate::New,
            };
            changed += usize::from(matches!(fate, Fate::Changed | Fate::Gone));
            let described = now
                .and_then(|now| now.description.as_deref())
                .unwrap_or_default();
            let digest = now.map(Pin::digest);
            listing.row(
                &json!({"server": server, "tool": name, "digest": digest, "fate": fate.word(),
                    "pinned": then.map(Pin::digest), "now": now, "then": then.filter(|_| fate == Fate::Changed)}),
                vec![
                    format!("{server}.{name}"),
                    digest.map_or_else(|| "not offered".to_owned(), |d| d.short()),
                    fate.word().to_owned(),
                    described.lines().next().unwrap_or_default().chars().take(60).collect(),
                ],
            );
            if let (Fate::Changed, Some(now), Some(then)) = (fate, now, then) {
                lines.extend(differences(&format!("{server}.{name}"), then, now));
            }
        }
    }
    listing.print(&format!(
        "no server in `{}` offers a tool",
        dir.join(TARGETS).display()
    ));
    if !form.json {
        lines.iter().for_each(|l| show::line(l));
    }
    match (changed, silent) {
        (0, 0) => Ok(()),
        (0, n) => Err(Failure::unavailable(format!(
            "{n} servers do not say what they offer"
        ))),
        (n, _) => Err(Failure::check(format!(
            "{n} tools are not what the release pins; their calls are refused until they are released so"
        ))),
    }
}

/// What a model would read otherwise, field by field.
fn differences(tool: &str, then: &Pin, now: &Pin) -> Vec<String> {
    let fields = |pin: &Pin| match serde_json::to_value(pin) {
        Ok(Value::Object(fields)) => fields,
        _ => serde_json::Map::new(),
    };
    let (then, now) = (fields(then), fields(now));
    let names: BTreeSet<&String> = then.keys().chain(now.keys()).collect();
    let differ = names
        .into_iter()
        .filter(|name| then.get(*name) != now.get(*name));
    let lines = differ.flat_map(|name| {
        let word =
            |value: Option<&Value>| value.map_or_else(|| "nothing".to_owned(), Value::to_string);
        [
            format!("{tool} {name}: was {}", word(then.get(name))),
            format!("{tool} {name}: is  {}", word(now.get(name))),
        ]
    });
    lines.collect()
}

/// Writes into a release's directory what a server says of its tools.
pub(crate) async fn pin(pinning: &Pinning) -> Result<(), Failure> {
    let (home, server) = (&pinning.path, &pinning.server);
    let upstream = upstreams(&pinning.dir.dir)?.remove(server);
    let upstream = upstream.ok_or_else(|| {
        Failure::usage(format!(
            "`{}` names no server `{server}`",
            pinning.dir.dir.join(TARGETS).display()
        ))
    })?;
    let offers = offers(&upstream, server).await?;
    let named = declared(home)?;
    let own = |name: &str| {
        named.iter().any(|n| {
            n.strip_prefix(server.as_str())
                .and_then(|n| n.strip_prefix('.'))
                == Some(name)
        })
    };
    for tool in &pinning.tool {
        if !offers.contains_key(tool) {
            return Err(Failure::usage(format!(
                "`{server}` offers no `{tool}`; `release tools` lists what it offers"
            )));
        }
    }
    let wanted = |name: &str| {
        let asked = pinning.tool.iter().any(|t| t == name);
        own(name) || (pinning.add && (pinning.tool.is_empty() || asked))
    };
    let unreadable =
        |path: &Path, e: std::io::Error| Failure::unavailable(format!("`{}`: {e}", path.display()));
    let folder = home.join("tools");
    std::fs::create_dir_all(&folder).map_err(|e| unreadable(&folder, e))?;
    let (mut written, mut entries) = (0, String::new());
    for (name, pin) in &offers {
        if !wanted(name) {
            if !pinning.add && !own(name) {
                show::line(&format!(
                    "# offered and not in team.toml:\n{}",
                    pin.entry(server)
                ));
            }
            continue;
        }
        let path = home.join(pin.path(server).map_err(Failure::usage)?);
        std::fs::write(&path, pin.to_text()).map_err(|e| unreadable(&path, e))?;
        written += 1;
        if !own(name) {
            entries.push('\n');
            entries.push_str(&pin.entry(server));
        }
    }
    for name in &named {
        let tool = name
            .strip_prefix(server.as_str())
            .and_then(|n| n.strip_prefix('.'));
        if tool.is_some_and(|tool| !offers.contains_key(tool)) {
            eprintln!("note: team.toml names `{name}`, which its server does not offer");
        }
    }
    if !entries.is_empty() {
        let team = home.join("team.toml");
        let mut text = std::fs::read_to_string(&team).map_err(|e| unreadable(&team, e))?;
        text.push_str(&entries);
        std::fs::write(&team, text).map_err(|e| unreadable(&team, e))?;
        eprintln!(
            "`{}` has new entries at its end: read them, each is taken to have an effect until you say otherwise",
            team.display()
        );
    }
    eprintln!(
        "{written} tools of `{server}` pinned in `{}`",
        folder.display()
    );
    Ok(())
}

async fn offers(upstream: &Upstream, server: &str) -> Result<BTreeMap<String, Pin>, Failure> {
    let offers = upstream.offers().await;
    offers.map_err(|why| Failure::unavailable(format!("`{server}`: {why}")))
}

/// The tools that a release's `team.toml` names, also where it is no release yet.
fn declared(home: &Path) -> Result<BTreeSet<String>, Failure> {
    let file = home.join("team.toml");
    let wrong = |e: &dyn std::fmt::Display| Failure::usage(format!("`{}`: {e}", file.display()));
    let text = std::fs::read_to_string(&file).map_err(|e| wrong(&e))?;
    let team: toml::Table = toml::from_str(&text).map_err(|e| wrong(&e))?;
    let tools = team.get("tool").and_then(toml::Value::as_array);
    let names = tools
        .into_iter()
        .flatten()
        .filter_map(|tool| tool.get("name")?.as_str());
    Ok(names.map(str::to_owned).collect())
}
