//! What the mirror holds of a talk as the simulated account has it.

use talkmirror::clock::UnixSeconds;

pub fn as_mirrored(talk: &talkmirror_simulator::Talk) -> talkmirror::talk::Talk {
    let talkmirror_simulator::Talk {
        talk_id,
        created_at,
        updated_at,
        rate,
        contact_id,
        chat_id,
        entity_id,
        entity_type,
        is_in_work,
        is_read,
        origin,
        missed_at,
        account_id,
        status,
        source_id,
        lead_id,
        customer_id,
    } = talk.clone();
    talkmirror::talk::Talk {
        talk_id: talkmirror::talk::TalkId::new(talk_id),
        created_at: UnixSeconds::new(created_at),
        updated_at: UnixSeconds::new(updated_at),
        rate,
        contact_id,
        chat_id,
        entity_id,
        entity_type,
        is_in_work,
        is_read,
        origin,
        missed_at: missed_at.map(UnixSeconds::new),
        account_id,
        status,
        source_id,
        lead_id,
        customer_id,
    }
}
