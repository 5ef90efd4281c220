//! `provisor completions` and `provisor man`: what packages install beside the program.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, output};

#[derive(Args, Debug)]
pub(super) struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct ManArgs {
    /// Where they are written, one for each command. The folder must be there.
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

pub(super) fn completions(args: &CompletionsArgs) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "provisor", &mut script);
    output::line(String::from_utf8(script).context("completions are text")?.trim_end());
    Ok(())
}

pub(super) fn man(args: &ManArgs) -> anyhow::Result<()> {
    clap_mangen::generate_to(Cli::command(), &args.folder)
        .with_context(|| format!("writing man pages into {}", args.folder.display()))
}
