//! What is wrong with a configuration file: one line for each fault, as compilers write them, so that editors can jump to it.

use std::fmt;
use std::path::{Path, PathBuf};

/// One fault. The order is that of the file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Fault {
    /// Counted from 1; none when the file as a whole is at fault.
    pub(super) line: Option<usize>,
    /// `section.key`; none where the text could not be understood so far.
    pub(super) key: Option<String>,
    /// What is wrong, and where possible what would be right.
    pub(super) what: String,
}

impl Fault {
    pub(super) fn of_file(what: String) -> Fault {
        Fault { line: None, key: None, what }
    }

    pub(super) fn of_syntax(line: usize, what: String) -> Fault {
        Fault { line: Some(line), key: None, what }
    }

    pub(super) fn of_key(line: usize, key: impl Into<String>, what: String) -> Fault {
        Fault { line: Some(line), key: Some(key.into()), what }
    }
}

/// All faults of one file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Faults {
    file: PathBuf,
    faults: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(file: &Path, faults: Vec<Fault>) -> Faults {
        Faults { file: file.to_owned(), faults }
    }
}

impl std::error::Error for Faults {}

/// One line for each, without a newline at the end.
impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, fault) in self.faults.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:", self.file.display())?;
            if let Some(line) = fault.line {
                write!(f, "{line}:")?;
            }
            if let Some(key) = &fault.key {
                write!(f, " {key}:")?;
            }
            write!(f, " {}", fault.what)?;
        }
        Ok(())
    }
}
