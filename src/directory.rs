//! What the account's ids stand for: users, pipelines with their statuses, leads and contacts. Plain data, no I/O.
//!
//! An optional field is `None` if the API sends no value, or one of another shape.
//!
//! Uses `clock`, `named`.

use crate::clock::UnixSeconds;
use crate::named::named;

named! {
    /// A list of the API that names things.
    ///
    /// In the cursor of the feeder, in its error, and in the metrics.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
    pub enum NameList {
        Users = "users",
        Pipelines = "pipelines",
        Leads = "leads",
        Contacts = "contacts",
    }
}

/// A user of the account. Its e-mail address is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The user's id in the API.
    pub user_id: i64,
    /// As the account shows it.
    pub name: Option<String>,
    /// Whether the user may log in.
    pub is_active: Option<bool>,
}

/// A pipeline of leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// The pipeline's id in the API.
    pub pipeline_id: i64,
    /// As the account shows it.
    pub name: Option<String>,
    /// Its place among them.
    pub sort: Option<i64>,
    /// Whether new leads go there.
    pub is_main: Option<bool>,
    /// Whether it is archived.
    pub is_archive: Option<bool>,
    /// Its stages.
    pub statuses: Vec<Status>,
    /// Whether these are all of its stages. False if one of them cannot be read.
    pub has_all_statuses: bool,
}

/// A stage of a pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The stage's id in the API. 142 and 143 occur in each pipeline.
    pub status_id: i64,
    /// As the account shows it.
    pub name: Option<String>,
    /// Its place in the pipeline.
    pub sort: Option<i64>,
}

/// A lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The lead's id in the API.
    pub lead_id: i64,
    /// As the account shows it.
    pub name: Option<String>,
    /// Its budget, in the account's currency.
    pub price: Option<i64>,
    /// Who is responsible for it.
    pub responsible_user_id: Option<i64>,
    /// The pipeline that it is in.
    pub pipeline_id: Option<i64>,
    /// Its stage there.
    pub status_id: Option<i64>,
    /// When it was won or lost. `None`: it is open.
    pub closed_at: Option<UnixSeconds>,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contact {
    /// The contact's id in the API.
    pub contact_id: i64,
    /// As the account shows it.
    pub name: Option<String>,
}
