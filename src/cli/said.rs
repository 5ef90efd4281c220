//! Who says something, and why: what a change of an operator's notes in the timeline.

use std::os::unix::fs::MetadataExt as _;

use anyhow::Context as _;
use clap::Args;

use crate::db::operators::pauses::Deed;

/// The most characters of a name, and of a reason.
const BY_CHARS_MAX: usize = 64;
const WHY_CHARS_MAX: usize = 500;

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct SaidArgs {
    /// Who says so, for the timeline. Else the user of this system.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| told(text, BY_CHARS_MAX))]
    by: Option<String>,
    /// Why, for the timeline. No personal data, and no secret: a shop can read it.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| told(text, WHY_CHARS_MAX))]
    why: Option<String>,
}

impl SaidArgs {
    /// Who says so: as given, or the user of this system.
    pub(in crate::cli) fn who(&self) -> anyhow::Result<String> {
        if let Some(by) = &self.by {
            return Ok(by.clone());
        }
        let named = ["SUDO_USER", "LOGNAME", "USER"].iter().find_map(|key| {
            let name = std::env::var(key).ok()?;
            told(&name, BY_CHARS_MAX).ok()
        });
        if let Some(name) = named {
            return Ok(name);
        }
        let uid = std::fs::metadata("/proc/self").context("who says so? Give --by NAME")?.uid();
        Ok(format!("uid {uid}"))
    }

    /// Why, if that was said.
    pub(in crate::cli) fn why(&self) -> Option<&str> {
        self.why.as_deref()
    }

    /// Both, of who says so.
    pub(in crate::cli) fn deed<'a>(&'a self, who: &'a str) -> Deed<'a> {
        Deed { by: who, why: self.why() }
    }
}

/// What is told in the timeline: something, of one line and of bounded length.
fn told(text: &str, chars_max: usize) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() || text.chars().any(char::is_control) || text.chars().count() > chars_max {
        return Err(format!(
            "must be 1 to {chars_max} characters, none of them a control character"
        ));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_one_line_and_bounded() {
        assert_eq!(told(" their support said so ", 500).unwrap(), "their support said so");
        assert!(told(&"é".repeat(64), 64).is_ok());
        for text in ["", "  ", "a\nb", "\u{1b}[31m", &"é".repeat(65)] {
            assert!(told(text, 64).is_err(), "{text:?}");
        }
    }
}
