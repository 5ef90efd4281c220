//! Which of a line's placements a person means.

use std::{fmt, str::FromStr};

use crate::order::{
    effect::EffectStep,
    facts::{Facts, Placement},
};

/// A placement as a person names it: `2`, of what the line buys; `create_contact:1`, of another step.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PlacementNamed {
    /// Which step; none: the one that buys.
    pub step: Option<EffectStep>,
    /// Which placement of it.
    pub n: i32,
}

impl PlacementNamed {
    /// The name of a placement.
    #[must_use]
    pub const fn new(step: EffectStep, n: i32) -> Self {
        Self { step: if step.buys() { None } else { Some(step) }, n }
    }

    pub(super) fn find(self, facts: &Facts) -> Option<&Placement> {
        facts.placements.iter().find(|it| Self::new(it.step, it.n) == self)
    }
}

impl fmt::Display for PlacementNamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Some(step) => write!(f, "{step}:{}", self.n),
            None => self.n.fmt(f),
        }
    }
}

impl FromStr for PlacementNamed {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "must be a number as `provisor order show` has it, such as 1";
        let (step, n) = match text.split_once(':') {
            Some((step, n)) => (Some(step.parse::<EffectStep>().map_err(|_| wrong)?), n),
            None => (None, text),
        };
        let n = n.parse().ok().filter(|n| *n >= 1).ok_or(wrong)?;
        // A step that buys may be named, too.
        Ok(step.map_or(Self { step, n }, |step| Self::new(step, n)))
    }
}
