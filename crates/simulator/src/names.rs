//! What the account's ids stand for: users, pipelines with their statuses, leads and contacts. The same each time.

use super::Account;
use super::life::{INTEGRATION, MANAGERS, manager_of};
use super::lists::Query;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A list that names things.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names of the lists")]
pub enum NameList {
    Users,
    Pipelines,
    Leads,
    Contacts,
}

impl NameList {
    const ALL: [NameList; 4] = [NameList::Users, NameList::Pipelines, NameList::Leads, NameList::Contacts];

    /// Its address.
    pub(super) fn path(self) -> &'static str {
        match self {
            NameList::Users => "/api/v4/users",
            NameList::Pipelines => "/api/v4/leads/pipelines",
            NameList::Leads => "/api/v4/leads",
            NameList::Contacts => "/api/v4/contacts",
        }
    }

    /// The list at an address.
    pub(super) fn at(path: &str) -> Option<NameList> {
        NameList::ALL.into_iter().find(|list| list.path() == path)
    }
}

/// A user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// As the account shows it.
    pub name: String,
    /// Whether the user may log in.
    pub is_active: bool,
}

/// A pipeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipeline {
    /// As the account shows it.
    pub name: String,
    /// The names of its statuses, in their order.
    pub statuses: Vec<(i64, String)>,
}

/// A lead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// As the account shows it.
    pub name: String,
    /// Its budget.
    pub price: i64,
    /// Who is responsible for it.
    pub responsible_user_id: i64,
    /// The pipeline that it is in.
    pub pipeline_id: i64,
    /// Its stage there.
    pub status_id: i64,
    /// When it was won or lost, in Unix seconds.
    pub closed_at: Option<i64>,
}

const WON: i64 = 142;
const LOST: i64 = 143;
/// The main pipeline. The ids of its statuses, but for the last two, begin 10 times as high.
const SALES: i64 = 1001;
const SERVICE: i64 = 1002;

/// The integration and the managers.
pub(super) fn users() -> BTreeMap<i64, User> {
    let names = ["Anna Ivanova", "Boris Petrov", "Clara Smirnova", "Dmitri Volkov"];
    let user = |name: &str| User { name: name.to_owned(), is_active: true };
    let managers = MANAGERS.into_iter().zip(names.map(user));
    managers.chain([(INTEGRATION, user("talkmirror"))]).collect()
}

/// The pipelines of sales and of service.
pub(super) fn pipelines() -> BTreeMap<i64, Pipeline> {
    let pipeline = |pipeline_id: i64, name: &str, stages: [&str; 3]| {
        let stages = (pipeline_id * 10..).zip(stages).chain([(WON, "Closed - won"), (LOST, "Closed - lost")]);
        let statuses = stages.map(|(status_id, name)| (status_id, name.to_owned())).collect();
        (pipeline_id, Pipeline { name: name.to_owned(), statuses })
    };
    BTreeMap::from([
        pipeline(SALES, "Sales", ["First contact", "Negotiation", "Contract"]),
        pipeline(SERVICE, "Service", ["Received", "In repair", "Ready"]),
    ])
}

impl Account {
    /// Names the lead and the contact of a talk, if they have no name yet.
    pub(super) fn name(&mut self, talk_id: i64) {
        let Some(talk) = self.talks.get(&talk_id) else { return };
        let began = talk.created_at;
        if let Some(lead_id) = talk.lead_id {
            let pipeline_id = if talk_id % 3 == 0 { SERVICE } else { SALES };
            let status_id = match talk_id % 7 {
                0 => WON,
                1 => LOST,
                other => pipeline_id * 10 + other % 3,
            };
            self.leads.entry(lead_id).or_insert_with(|| Lead {
                name: format!("Order {talk_id}"),
                price: talk_id * 37 % 200 * 500,
                responsible_user_id: manager_of(talk_id),
                pipeline_id,
                status_id,
                closed_at: [WON, LOST].contains(&status_id).then_some(began + 600),
            });
        }
        if let Some(contact_id) = talk.contact_id {
            self.contacts.entry(contact_id).or_insert_with(|| {
                let names = ["Olga", "Pavel", "Rita", "Sergei", "Tanya", "Viktor"];
                let name = names[usize::try_from(contact_id).unwrap_or_default() % names.len()];
                format!("{name} {}", contact_id - 3_000_000)
            });
        }
    }

    /// A page of a list of names, in the order of their ids.
    pub(super) fn names_page(&self, list: NameList, query: &Query) -> Option<Value> {
        let wanted = |id: i64| self.ignores_filter || query.ids.is_empty() || query.ids.contains(&id);
        let page = if self.ignores_page && list == NameList::Users { 1 } else { query.page };
        let (name, rows): (_, Vec<Value>) = match list {
            NameList::Users => ("users", self.users.iter().map(|(id, user)| self.user(*id, user)).collect()),
            NameList::Pipelines => {
                let rows = self.pipelines.iter().map(|(id, pipeline)| self.pipeline(*id, pipeline));
                ("pipelines", rows.collect())
            }
            NameList::Leads => {
                let leads = self.leads.iter().filter(|(id, _)| wanted(**id));
                ("leads", leads.map(|(id, lead)| self.lead(*id, lead)).collect())
            }
            NameList::Contacts => {
                let contacts = self.contacts.iter().filter(|(id, _)| wanted(**id));
                ("contacts", contacts.map(|(id, name)| self.contact(*id, name)).collect())
            }
        };
        let (rows, more) = match list {
            // Not paged.
            NameList::Pipelines => (rows, false),
            _ => query.cut(page, rows.into_iter()),
        };
        let repeats = self.ignores_page && list == NameList::Users;
        query.render(query.page, name, rows, more || repeats)
    }

    fn user(&self, id: i64, user: &User) -> Value {
        json!({
            "id": id,
            "name": user.name,
            "email": format!("user{id}@example.com"),
            "lang": "ru",
            "rights": {
                "leads": {"view": "A", "edit": "A", "add": "A", "delete": "A", "export": "A"},
                "is_admin": id == INTEGRATION,
                "is_free": false,
                "is_active": user.is_active,
                "group_id": null,
                "role_id": null,
            },
        })
    }

    fn pipeline(&self, id: i64, pipeline: &Pipeline) -> Value {
        let statuses = (1..).zip(&pipeline.statuses).map(|(place, (status_id, name))| {
            json!({
                "id": status_id,
                "name": name,
                "sort": place * 10,
                "is_editable": ![WON, LOST].contains(status_id),
                "pipeline_id": id,
                "color": "#fffeb2",
                "type": 0,
                "account_id": self.account_id,
            })
        });
        json!({
            "id": id,
            "name": pipeline.name,
            "sort": id - SALES + 1,
            "is_main": id == SALES,
            "is_unsorted_on": true,
            "is_archive": false,
            "account_id": self.account_id,
            "_embedded": {"statuses": statuses.collect::<Vec<_>>()},
        })
    }

    fn lead(&self, id: i64, lead: &Lead) -> Value {
        json!({
            "id": id,
            "name": lead.name,
            "price": lead.price,
            "responsible_user_id": lead.responsible_user_id,
            "group_id": 0,
            "status_id": lead.status_id,
            "pipeline_id": lead.pipeline_id,
            "loss_reason_id": null,
            "closed_at": lead.closed_at,
            "is_deleted": false,
            "custom_fields_values": null,
            "account_id": self.account_id,
            "_links": {"self": {"href": format!("https://example.amocrm.ru/api/v4/leads/{id}")}},
            "_embedded": {"tags": [], "companies": []},
        })
    }

    fn contact(&self, id: i64, name: &str) -> Value {
        json!({
            "id": id,
            "name": name,
            "first_name": "",
            "last_name": "",
            "responsible_user_id": MANAGERS[0],
            "custom_fields_values": null,
            "account_id": self.account_id,
            "_embedded": {"tags": [], "companies": []},
        })
    }
}
