//! What people and programs beside the calls may ask.
