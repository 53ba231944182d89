//! The real binary against the simulated account, over real HTTP and a real file.

mod answers;
mod backfill;
mod ceiling;
mod closing;
mod closing_safety;
mod commands;
mod configuration;
mod contrib;
mod databases;
mod demo;
mod feeders;
mod harness;
mod http;
mod oauth;
mod oauth_crash;
mod oauth_login;
mod page;
mod pauses;
mod queue;
mod reload;
mod rights;
mod service;
mod signals;
mod storm;
mod tokens;
mod webhook;
