//! What happens in the account during the storm, and who queues it.

use crate::harness::{Mirror, unix_now};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use talkmirror_simulator::Fault;

/// So many talks change at once, this often: up to 2,000 a second.
const BATCH: usize = 100;
const PAUSE: Duration = Duration::from_millis(50);

/// Changes talks and queues them until `stop`.
pub fn change(mirror: &Mirror, stop: &AtomicBool, mut rng: fastrand::Rng) {
    let connection = mirror.connect();
    while !stop.load(Ordering::Relaxed) {
        let changed: Vec<i64> = change_some(mirror, &mut rng);
        let values: Vec<String> = changed.iter().map(|talk_id| format!("({talk_id})")).collect();
        // While a process starts or recovers the database, it may be locked for long.
        let _ = connection
            .execute_batch(&format!("INSERT INTO talk_queue (talk_id) VALUES {}", values.join(", ")));
        std::thread::sleep(PAUSE);
    }
}

fn change_some(mirror: &Mirror, rng: &mut fastrand::Rng) -> Vec<i64> {
    let now = unix_now();
    let mut account = mirror.simulator.account();
    let last = *account.talks.keys().next_back().unwrap();
    let mut changed: Vec<i64> = (0..BATCH).map(|_| rng.i64(1..=last)).collect();
    for talk_id in &changed {
        let talk = account.talk(*talk_id);
        talk.updated_at = now.max(talk.updated_at + 1);
        match rng.u32(0..5) {
            0 => talk.is_read = Some(rng.bool()),
            1 => talk.rate = Some(rng.i64(0..10)),
            2 => talk.origin = Some(["telegram", "viber", "a\0b", "", "ü\u{1F600}"][rng.usize(0..5)].into()),
            3 => talk.lead_id = rng.bool().then(|| rng.i64(1..1000)),
            _ => (talk.is_in_work, talk.missed_at) = (rng.bool(), rng.bool().then_some(now - 10)),
        }
    }
    // One that is closed soon, one that does not exist, one that may not be read.
    if rng.u32(0..10) == 0 {
        changed.push(account.create_missed(200_000));
        changed.push(1_000_000 + rng.i64(0..500));
        account.script(changed[0], [Fault::Problem(403)]);
    }
    changed
}
