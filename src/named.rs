//! Enums whose values have a name: in the configuration, the database, JSON, the metrics and the journal it is the same.
//!
//! Uses no other room.

/// Declares an enum with one printer (`as_str`, `Display`, JSON) and one parser (`parse`) for all of its values (`ALL`).
macro_rules! named {
    (
        $(#[$meta:meta])*
        $vis:vis enum $name:ident {
            $($(#[$value_meta:meta])* $value:ident = $text:literal,)+
        }
    ) => {
        $(#[$meta])*
        $vis enum $name {
            $($(#[$value_meta])* #[allow(missing_docs, reason = "a value has a name that says what it is")] $value,)+
        }

        impl $name {
            /// All values, in the order of their declaration.
            $vis const ALL: [$name; [$($name::$value),+].len()] = [$($name::$value),+];

            /// The name.
            $vis const fn as_str(self) -> &'static str {
                match self {
                    $($name::$value => $text,)+
                }
            }

            /// The value of a name, if it is one.
            $vis fn parse(name: &str) -> Option<$name> {
                $name::ALL.into_iter().find(|value| value.as_str() == name)
            }
        }
    };
}
pub(crate) use named;
