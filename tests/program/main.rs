//! The program as people, scripts and service managers meet it: its life, its commands, the page's port, its figures,
//! and what is there to copy.
//!
//! Knows arguments, output, exit codes, files and documents; not how they come about.

mod admin;
mod call_log;
mod commands;
mod deploy;
mod figures;
mod life;
mod pending;
mod recipes;
mod reload;
mod slips;
mod surroundings;
