//! The scanner against serde_json, and against every cut.
