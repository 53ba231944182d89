//! `[publish]`.

use super::Needs;
use super::credentials;
use super::keys::Keys;
use crate::publish::{PublishRules, Server, ServerAddress};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[publish]`, if it is enabled. `publish init` and the like need the server in any case.
pub(super) fn publish(keys: &mut Keys, folder: &Path, needs: Needs) -> Option<PublishRules> {
    let enabled = keys.boolean("publish.enabled", false);
    let mut mistake = None;
    let address = keys.optional("publish.server", "the address of a PostgreSQL server", |found| {
        let text = found.string()?;
        if text.is_empty() {
            return Some(None);
        }
        match text.parse::<ServerAddress>() {
            Ok(address) => Some(Some(address)),
            Err(found) => {
                mistake = Some(found);
                Some(None)
            }
        }
    });
    let address = address.flatten();
    let expected = "an address such as postgresql://talkmirror@db.example.com/warehouse";
    match &mistake {
        Some(found) => keys.mistake("publish.server", expected, found),
        None if address.is_none() && (enabled || needs == Needs::Publish) => {
            keys.mistake("publish.server", expected, "nothing");
        }
        None => {}
    }
    let file = |keys: &mut Keys, key, expected| {
        let path = keys.optional(key, expected, super::value::FoundValue::string)?;
        (!path.is_empty()).then(|| folder.join(path))
    };
    let password_file: Option<PathBuf> =
        file(keys, "publish.password_file", "the path of a file with the password, or \"\"");
    let password_file = credentials::file_or(password_file, "publish-password");
    let ca_file = file(keys, "publish.ca_file", "the path of a file with certificates, or \"\"");
    let interval = keys.duration("publish.interval", "1s", "100ms", "1h");
    let payload = keys.boolean("publish.payload", true);
    let adopt = keys.boolean("publish.adopt", false);
    let expected = "a duration such as \"5m\", from 5s to 1d, or \"\"";
    let (least, most) = (Duration::from_secs(5), Duration::from_secs(86_400));
    let standby_after = keys.optional_duration("publish.standby_after", expected, (least, most));
    let server = Server { address: address?, password_file, ca_file };
    (enabled || needs == Needs::Publish).then_some(PublishRules {
        server,
        interval,
        payload,
        adopt,
        standby_after,
    })
}
