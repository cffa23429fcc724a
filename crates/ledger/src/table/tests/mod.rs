//! The tables as a whole: written through `Table`, read through `Reader` and plain SQL.
