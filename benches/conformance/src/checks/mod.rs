//! The checks, one for each clause. A check makes what it needs, and leaves nothing behind.

mod answer;
mod auth;
mod creation;
mod endpoint;
mod events;
mod limits;
mod patch;
mod restart;
mod teardown;
mod whep;
mod wire;

use crate::context::Context;
use crate::report::{Level, Outcome};
use crate::session::Side;

/// What a check does.
type Run = fn(&Context, Side) -> Outcome;

/// A clause and how it is checked.
struct Clause {
    level: Level,
    slug: &'static str,
    /// Where WHIP and where WHEP has it.
    sections: [Option<&'static str>; 2],
    /// What has to hold.
    name: &'static str,
    run: Run,
}

/// A clause of both protocols, in these sections of WHIP and of WHEP.
const fn both(level: Level, slug: &'static str, sections: [&'static str; 2], name: &'static str, run: Run) -> Clause {
    Clause { level, slug, sections: [Some(sections[0]), Some(sections[1])], name, run }
}

/// A clause of WHIP alone.
const fn whip(level: Level, slug: &'static str, section: &'static str, name: &'static str, run: Run) -> Clause {
    Clause { level, slug, sections: [Some(section), None], name, run }
}

/// A clause of WHEP alone.
const fn whep(level: Level, slug: &'static str, section: &'static str, name: &'static str, run: Run) -> Clause {
    Clause { level, slug, sections: [None, Some(section)], name, run }
}

/// The tables, in the order of a session's life.
const TABLES: [&[Clause]; 11] = [
    endpoint::CLAUSES,
    creation::CLAUSES,
    answer::CLAUSES,
    patch::CLAUSES,
    restart::CLAUSES,
    teardown::CLAUSES,
    wire::CLAUSES,
    whep::CLAUSES,
    events::CLAUSES,
    auth::CLAUSES,
    limits::CLAUSES,
];

/// A clause for one of the protocols.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    slug: &'static str,
    pub(crate) side: Side,
    pub(crate) level: Level,
    pub(crate) name: &'static str,
    pub(crate) section: &'static str,
    pub(crate) run: Run,
}

impl Check {
    /// The side and a slug, such as `whip-create`.
    pub(crate) fn id(&self) -> String {
        format!("{}-{}", self.side, self.slug)
    }
}

/// All checks, WHIP's before WHEP's.
pub(crate) fn all() -> Vec<Check> {
    let mut checks = Vec::new();
    for (index, side) in [Side::Whip, Side::Whep].into_iter().enumerate() {
        for Clause { level, slug, sections, name, run } in TABLES.into_iter().flatten() {
            let section = sections[index];
            checks.extend(section.map(|section| Check { slug, side, level: *level, name, section, run: *run }));
        }
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn ids_are_unique_and_every_check_names_its_section() {
        let checks = all();
        let ids: HashSet<String> = checks.iter().map(Check::id).collect();
        assert_eq!(ids.len(), checks.len());
        for check in &checks {
            assert!(
                check.section.contains('§') || check.section.starts_with("WHEP events, "),
                "{}: {}",
                check.id(),
                check.section
            );
            assert!(check.id().len() <= 34, "{} does not fit into the table", check.id());
        }
    }
}
