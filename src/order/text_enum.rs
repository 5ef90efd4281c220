//! Enums whose variants have a name in the database and in the contract, for this floor and those above it.

/// Declares an enum with `as_str`, `ALL`, `FromStr` and `Display` by the names that the contract uses.
macro_rules! text_enum {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every variant, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name in the database and in the contract.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = $crate::order::UnknownName;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                match text {
                    $($text => Ok(Self::$variant),)+
                    _ => Err($crate::order::UnknownName { what: stringify!($name), name: text.to_owned() }),
                }
            }
        }
    };
}

pub(crate) use text_enum;

/// A name that this binary does not know: whoever wrote it, such as the database, is newer.
#[derive(Clone, Debug, thiserror::Error, Eq, PartialEq)]
#[error("{name:?} is no {what} that this version of Provisor knows")]
pub struct UnknownName {
    /// The enum.
    pub what: &'static str,
    /// What was found instead of one of its names.
    pub name: String,
}
