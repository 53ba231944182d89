pub mod config;
pub mod amocrm;
pub mod clock;
pub mod gate;
pub mod policy;
pub mod talk;
pub mod store;
