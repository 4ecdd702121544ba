//! Enums as the database holds them.

/// An enum with a text for each of its values, as the database holds it.
macro_rules! texts {
    ($name:ident { $($value:ident = $text:literal),* $(,)? }) => {
        impl $name {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$value),*];

            /// Its text.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$value => $text),* }
            }
        }

        impl TryFrom<String> for $name {
            type Error = $crate::Error;
            fn try_from(text: String) -> Result<Self, $crate::Error> {
                match text.as_str() {
                    $($text => Ok(Self::$value),)*
                    _ => Err($crate::Error::Unknown(text)),
                }
            }
        }
    };
}
pub(crate) use texts;
