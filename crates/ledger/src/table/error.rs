//! What can go wrong with the tables, by what can be done about it. Must not know who does it.

use std::io;

use rusqlite::ErrorCode;
use thiserror::Error;

use crate::DATABASE;

/// Why something could not be done to the tables. Nothing of it was done then.
#[derive(Debug, Error)]
pub(crate) enum TableError {
    /// The file is damaged, or not a ledger: it can only be moved aside.
    #[error("{DATABASE} is damaged")]
    Corrupt {
        /// What SQLite found.
        #[source]
        source: rusqlite::Error,
    },
    /// A newer version of the program wrote it: it must not be touched.
    #[error("{DATABASE} has schema version {version}, newer than this program's")]
    Newer {
        /// Its version.
        version: i64,
    },
    /// There is no file and none can be made: may work later.
    #[error("{DATABASE} cannot be made")]
    NotMade {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The disk is full or broken, or somebody else holds the file: may work later.
    #[error("{DATABASE} cannot be read or written")]
    Unavailable {
        /// What SQLite found.
        #[source]
        source: rusqlite::Error,
    },
}

impl From<rusqlite::Error> for TableError {
    fn from(source: rusqlite::Error) -> Self {
        if is_damage(&source) {
            Self::Corrupt { source }
        } else {
            Self::Unavailable { source }
        }
    }
}

/// Whether the file itself is at fault: broken pages, or tables that are not as we made them.
fn is_damage(error: &rusqlite::Error) -> bool {
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => matches!(
            failure.code,
            ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::ConstraintViolation
                | ErrorCode::TypeMismatch
                | ErrorCode::SchemaChanged
                | ErrorCode::Unknown
        ),
        rusqlite::Error::SqlInputError { .. }
        | rusqlite::Error::InvalidColumnType(..)
        | rusqlite::Error::IntegralValueOutOfRange(..)
        | rusqlite::Error::FromSqlConversionFailure(..)
        | rusqlite::Error::QueryReturnedNoRows => true,
        _ => false,
    }
}
