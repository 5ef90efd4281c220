//! Asking a person before something is bought or changed.

use std::io::{BufRead, IsTerminal as _, Write};

use crate::cli::Failed;

/// What is read of an answer: a yes is short.
const ANSWER_BYTES_MAX: u64 = 64;

/// Refuses where there is nobody to ask and nobody has agreed beforehand, before anything else is done.
pub(in crate::cli) fn demand_somebody(yes: bool) -> Result<(), Failed> {
    if yes || (std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        return Ok(());
    }
    Err(Failed::Usage(
        "this buys or changes something, and there is no terminal to ask on: give --yes if it shall be done".to_owned(),
    ))
}

/// Asks, unless somebody has agreed beforehand, and refuses without a yes.
pub(in crate::cli) fn demand_agreement(yes: bool) -> anyhow::Result<()> {
    if yes || asked(std::io::stdin().lock(), std::io::stderr())? {
        return Ok(());
    }
    anyhow::bail!("nothing is done: it was not agreed to")
}

/// Only a clear yes is one: an empty answer, or none, is a no.
fn asked(answers: impl BufRead, mut questions: impl Write) -> std::io::Result<bool> {
    write!(questions, "\nShall this be done? [y/N] ")?;
    questions.flush()?;
    let mut answer = String::new();
    answers.take(ANSWER_BYTES_MAX).read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_clear_yes_is_one() {
        let long = "y".repeat(1000);
        for (answer, agreed) in [
            ("y\n", true),
            ("Yes\n", true),
            (" y \n", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yes please\n", false),
            (long.as_str(), false),
            ("n\ny\n", false),
        ] {
            let mut question = Vec::new();
            assert_eq!(asked(answer.as_bytes(), &mut question).unwrap(), agreed, "{answer:?}");
            assert!(String::from_utf8(question).unwrap().ends_with("[y/N] "));
        }
    }
}
