//! Simulates life in the account: talks come, are missed, read, answered and closed.

use super::Account;
use super::clock::unix_now;
use super::talk::Talk;

/// The user that close requests of an integration count for.
pub(super) const INTEGRATION: i64 = 500;
/// The managers. Each answers and closes talks of their own.
pub(super) const MANAGERS: [i64; 4] = [501, 502, 503, 504];

/// The user whose talk it is.
pub(super) fn manager_of(talk_id: i64) -> i64 {
    let place = usize::try_from(talk_id).unwrap_or_default() % MANAGERS.len();
    MANAGERS[place]
}

const ORIGINS: [&str; 5] = ["telegram", "whatsapp", "viber", "instagram", "avito"];

impl Account {
    /// Adds a talk that began in the last 30 days and may be over.
    pub(super) fn create_past_talk(&mut self) {
        let age = self.rng.i64(60..30 * 86_400);
        let began = unix_now() - age;
        let talk_id = self.create(began);
        let fate = self.rng.u32(0..100);
        let rng_minutes = self.rng.i64(1..40) * 60;
        let rate = self.rng.i64(1..=10);
        let talk = self.talk(talk_id);
        talk.updated_at = (began + rng_minutes).min(unix_now());
        match fate {
            0..55 => {
                talk.is_in_work = false;
                talk.is_read = Some(true);
                talk.rate = (rate > 5).then_some(rate);
            }
            55..75 => talk.missed_at = Some(talk.updated_at),
            75..90 => talk.is_read = Some(true),
            _ => {}
        }
    }

    /// Adds the events that the talks of the past would have left. Some of those that are closed were missed before.
    pub fn add_past_events(&mut self) {
        let talks: Vec<Talk> = self.talks.values().cloned().collect();
        for talk in talks {
            let Talk { talk_id, created_at, updated_at, .. } = talk;
            let manager = manager_of(talk_id);
            let mut happened = vec![("talk_created", created_at, 0)];
            if let Some(at) = talk.missed_at {
                happened.push(("talk_missed_event", at, 0));
            }
            if !talk.is_in_work {
                // Within so many seconds somebody answered.
                let waited = self.rng.i64(60..1 + manager % 10 * 1800);
                let answered_at = updated_at - 30;
                if answered_at - waited > created_at {
                    happened.push(("talk_missed_event", answered_at - waited, 0));
                }
                happened.push(("conversation_answered", answered_at, manager));
                happened.push(("talk_closed", updated_at, manager));
            }
            for (kind, at, created_by) in happened {
                self.emit_at(at, created_by, kind, talk_id);
            }
        }
    }

    /// Adds a talk that begins now. Returns its id.
    pub fn create_talk(&mut self) -> i64 {
        self.create(unix_now())
    }

    /// Makes one event happen, and describes it.
    pub(super) fn live(&mut self) -> String {
        // A talk missed more than a day ago stays forgotten, and one that is weeks old is at rest.
        let forgotten = |talk: &Talk| {
            talk.missed_at.is_some_and(|at| unix_now() - at > 86_400)
                || unix_now() - talk.created_at > 14 * 86_400
        };
        let open: Vec<i64> = self
            .talks
            .values()
            .rev()
            .filter(|talk| talk.is_in_work && !forgotten(talk))
            .map(|talk| talk.talk_id)
            .take(30)
            .collect();
        let now = unix_now();
        let Some(talk_id) = self.rng.choice(open) else {
            return self.begin();
        };
        let what = self.rng.u32(0..10);
        let talk = self.talk(talk_id);
        let (kind, event) = match what {
            0..3 => return self.begin(),
            3..6 if talk.missed_at.is_none() => {
                talk.missed_at = Some(now);
                talk.is_read = Some(false);
                talk.updated_at = now;
                ("talk_missed_event", "is missed")
            }
            6..9 => {
                talk.missed_at = None;
                talk.is_read = Some(true);
                talk.updated_at = now;
                ("conversation_answered", "is answered")
            }
            _ => {
                talk.is_in_work = false;
                talk.updated_at = now;
                ("talk_closed", "is closed")
            }
        };
        let created_by = if kind == "talk_missed_event" { 0 } else { manager_of(talk_id) };
        self.emit_by(created_by, kind, talk_id);
        format!("talk {talk_id} {event}")
    }

    fn begin(&mut self) -> String {
        let talk_id = self.create_talk();
        self.emit("talk_created", talk_id);
        format!("talk {talk_id} begins")
    }

    fn create(&mut self, began: i64) -> i64 {
        let talk_id = self.talks.last_key_value().map_or(1, |(last, _)| last + 1);
        let origin = self.rng.choice(ORIGINS).map(str::to_owned);
        let contact_id = 3_000_000 + self.rng.i64(0..1 + talk_id / 2);
        // A client who writes again on the same channel uses the same chat.
        let seed =
            origin.iter().flat_map(|origin| origin.bytes()).fold(contact_id.unsigned_abs(), |seed, byte| {
                seed.wrapping_mul(31).wrapping_add(u64::from(byte))
            });
        let mut chat = fastrand::Rng::with_seed(seed);
        let (high, low) = (chat.u64(..), chat.u64(..));
        let chat_id = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            low >> 52,
            low & 0xffff_ffff_ffff
        );
        let lead_id = (self.rng.u8(..8) > 0).then(|| 600_000_000 + talk_id);
        let talk = Talk {
            talk_id,
            created_at: began,
            updated_at: began,
            rate: None,
            contact_id: Some(contact_id),
            chat_id: Some(chat_id),
            entity_id: lead_id,
            entity_type: lead_id.map(|_| "lead".into()),
            is_in_work: true,
            is_read: Some(false),
            origin,
            missed_at: None,
            account_id: self.account_id,
            status: None,
            source_id: None,
            lead_id,
            customer_id: None,
        };
        self.talks.insert(talk_id, talk);
        self.name(talk_id);
        talk_id
    }
}
