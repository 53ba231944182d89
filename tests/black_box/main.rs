//! The real binary against the simulated account, over real HTTP and a real file.

mod answers;
mod ceiling;
mod commands;
mod configuration;
mod databases;
mod demo;
mod harness;
mod pauses;
mod queue;
mod signals;
mod storm;
