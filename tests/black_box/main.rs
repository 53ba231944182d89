//! The real binary against the simulated account, over real HTTP and a real file.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "its numbers are its own"
)]
#![allow(unreachable_pub, reason = "nothing is outside of this crate")]
#![allow(clippy::disallowed_methods, reason = "a test reads the time")]
#![allow(clippy::print_stderr, reason = "a test says that it skips")]
#![allow(clippy::needless_pass_by_value, reason = "values to compare with are written where they are passed")]

mod answers;
mod as_mirrored;
mod backfill;
mod backup;
mod backup_schedule;
mod check;
mod clock_jumps;
mod closing;
mod closing_crash;
mod closing_safety;
mod commands;
mod completeness;
mod config_file;
mod configuration;
mod contrib;
mod databases;
mod datasette;
mod datasette_russian;
mod demo;
mod directory;
mod docs;
mod docs_configuration;
mod docs_troubleshooting;
mod events;
mod everybody;
mod exempt_command;
mod exemptions;
mod feeders;
mod growth;
mod harness;
mod hosts;
mod http;
mod identity;
mod init;
mod instances;
mod journal;
mod languages;
mod listing;
mod lists;
mod local_time;
mod oauth;
mod oauth_crash;
mod oauth_login;
mod origins;
mod other_processes;
mod outside_text;
mod page;
mod pauses;
mod questions;
mod queue;
mod rate_limit;
mod reload;
mod restore;
mod restore_crash;
mod restore_refusals;
mod retention;
mod rights;
mod rows;
mod service;
mod signals;
mod snapshots;
mod special_files;
mod storm;
mod surroundings;
mod talk_page;
mod times;
mod tokens;
mod tolerance;
mod webhook;
