//! `provisor customer …`

use anyhow::anyhow;
use clap::{Args, Subcommand};

use super::{
    Failed,
    change::{demand_agreement, demand_somebody},
    output,
    said::SaidArgs,
};
use crate::{
    app,
    config::{Need, Settings},
    db::{Database, operators::customers::Forgotten},
    mail::Address,
};

#[derive(Subcommand, Debug)]
pub(super) enum CustomerCommand {
    /// Prints all that is kept of the customers with an email address, as JSON: for whoever asks what is known of him.
    ///
    /// It is personal data, for that person alone. Exit status 1: nobody is known by the address.
    Export {
        /// The email address.
        #[arg(value_parser = address)]
        email: String,
        /// As it is anyway: for scripts that give it to every command.
        #[arg(long)]
        json: bool,
    },
    /// Forgets the customers with an email address: their names, addresses and telephones, wherever they are kept.
    ///
    /// What was ordered, when, for how much, and what became of it stays. So does what others have: LJPc's WHOIS contacts,
    /// the mail server's log. Nobody is reminded of their domains any more. With an order that is not ended yet nothing is
    /// forgotten. It may be repeated at any time, and must be after a backup was restored.
    Forget(ForgetArgs),
}

#[derive(Args, Debug)]
pub(super) struct ForgetArgs {
    /// The email address.
    #[arg(value_parser = address)]
    email: String,
    /// Do it without asking.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    said: SaidArgs,
    /// For scripts.
    #[arg(long)]
    json: bool,
}

/// An email address, as far as it must be one to be looked for.
fn address(text: &str) -> Result<String, String> {
    let email = text.trim();
    Address::new(None, email).map_err(|_| "is no email address")?;
    Ok(email.to_owned())
}

impl CustomerCommand {
    /// What of the configuration it needs.
    pub(super) const fn needs() -> &'static [Need] {
        &[Need::Database]
    }
}

pub(super) async fn customer(command: CustomerCommand, settings: &Settings) -> Result<(), Failed> {
    match command {
        CustomerCommand::Export { email, json: _ } => {
            let db = app::connect_now(settings).await?;
            let known = db.export_customer(&email).await.map_err(anyhow::Error::from)?;
            let known = known.ok_or_else(|| anyhow!("nobody is known by this address"))?;
            Ok(output::json(&known)?)
        }
        CustomerCommand::Forget(args) => {
            demand_somebody(args.yes)?;
            let db = app::connect_now(settings).await?;
            forget(&db, &args).await
        }
    }
}

async fn forget(db: &Database, args: &ForgetArgs) -> Result<(), Failed> {
    let by = args.said.who()?;
    if !args.yes {
        output::note(
            "The names, addresses and telephones of whoever is known by this address go for good.\n\
             `provisor customer export` shows first what there is.",
        );
        demand_agreement(args.yes)?;
    }
    let forgotten =
        db.forget_customer(&args.email, args.said.deed(&by)).await.map_err(anyhow::Error::from)?;
    let is_done = forgotten.under_way.is_empty();
    if args.json {
        output::json(&forgotten)?;
        return if is_done { Ok(()) } else { Err(Failed::Told) };
    }
    if !is_done {
        let orders = forgotten.under_way.join(", ");
        let why = "is not ended yet (provisor order show tells why; order cancel, or order resolve, ends it)";
        return Err(anyhow!("nothing is forgotten: {orders} {why}").into());
    }
    output::line(&told(&forgotten));
    Ok(())
}

fn told(forgotten: &Forgotten) -> String {
    if forgotten.customers == 0 && forgotten.orders == 0 {
        return "Nobody is known by this address (any more).".to_owned();
    }
    let told = format!(
        "Forgotten: {} customers. Of their {} orders what was bought and what it cost stays.",
        forgotten.customers, forgotten.orders
    );
    if forgotten.domains == 0 {
        return told;
    }
    let domains = forgotten.domains;
    format!(
        "{told}\nThey have {domains} domains, of which nobody is reminded any more: provisor audit disown lets go of \
         those that have moved away."
    )
}
