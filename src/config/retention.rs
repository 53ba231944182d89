//! `[retention]`

use super::keys::Keys;
use std::time::Duration;

/// Less would remove states that analysts still use.
const MIN_RETENTION: Duration = Duration::from_secs(24 * 60 * 60);
/// Nothing mirrored is older: a hundred years.
const MAX_RETENTION: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

/// `retention.versions`. `None` keeps all.
pub(super) fn versions(keys: &mut Keys) -> Option<Duration> {
    let expected = "a duration such as \"730d\", from 1d to 36500d, or \"\" to keep all";
    keys.optional_duration("retention.versions", expected, (MIN_RETENTION, MAX_RETENTION))
}

#[cfg(test)]
mod tests {
    use super::super::Needs;
    use super::super::tests::{load, mistakes};
    use std::time::Duration;

    const MIN_RETENTION: &str =
        "[api]\nbase_url = \"https://example.amocrm.ru\"\ntoken_file = \"token\"\n[retention]\nversions = ";

    #[test]
    fn versions_are_kept_for_a_day_at_least_or_for_good() {
        let versions = |value: &str| load(&format!("{MIN_RETENTION}{value}"), Needs::Api).unwrap().retention;
        let days = |days: u64| Some(Duration::from_secs(days * 86_400));
        assert_eq!(versions("\"\""), None);
        assert_eq!(versions("\"1d\""), days(1));
        assert_eq!(versions("\"24h\""), days(1));
        assert_eq!(versions("\"730d\""), days(730));
        for (value, found) in [
            ("\"86399s\"", "\"86399s\""),
            ("\"0s\"", "\"0s\""),
            ("\"36501d\"", "\"36501d\""),
            ("\"730\"", "\"730\""),
            ("\"never\"", "\"never\""),
            ("730", "730"),
        ] {
            let expected = "a duration such as \"730d\", from 1d to 36500d, or \"\" to keep all";
            assert_eq!(
                mistakes(&format!("{MIN_RETENTION}{value}")),
                [format!("config.toml: retention.versions: expected {expected}, found {found}")]
            );
        }
    }
}
