//! The templates that are compiled in, and the names that a file in `email.templates_dir` may have.

use super::template::Locale;

/// A template's name within its locale, and its source.
type Source = (&'static str, &'static str);

macro_rules! of_locale {
    ($locale:literal: $($name:literal)*) => {
        &[
            ("words.txt", include_str!(concat!("templates/", $locale, "/words.txt"))),
            $(
                (
                    concat!($name, ".subject.txt"),
                    include_str!(concat!("templates/", $locale, "/", $name, ".subject.txt")),
                ),
                (
                    concat!($name, ".txt"),
                    include_str!(concat!("templates/", $locale, "/", $name, ".txt")),
                ),
                (
                    concat!($name, ".html"),
                    include_str!(concat!("templates/", $locale, "/", $name, ".html")),
                ),
            )*
        ]
    };
}

macro_rules! of_each_locale {
    ($($name:literal)*) => {
        const EN: &[Source] = of_locale!("en": $($name)*);
        const NL: &[Source] = of_locale!("nl": $($name)*);
    };
}

of_each_locale! {
    "order_received" "order_progress" "order_completed" "order_partial" "order_failed"
    "order_delayed" "domain_expiring" "domain_expired" "ops_attention" "ops_audit"
}

/// What all locales share: the frame of every HTML mail, and how lines look in each form.
pub(super) const SHARED: &[Source] = &[
    ("layout.html", include_str!("templates/layout.html")),
    ("label.html", include_str!("templates/label.html")),
    ("lines.html", include_str!("templates/lines.html")),
    ("lines.txt", include_str!("templates/lines.txt")),
];

/// What a locale has of its own.
pub(super) fn of(locale: Locale) -> &'static [Source] {
    match locale {
        Locale::En => EN,
        Locale::Nl => NL,
    }
}
