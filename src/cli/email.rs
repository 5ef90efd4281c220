//! `provisor email …`

use anyhow::{anyhow, bail};
use clap::{
    Args, Subcommand,
    builder::{PossibleValuesParser, TypedValueParser},
};
use serde_json::json;

use super::{Failed, output, said::SaidArgs};
use crate::{
    app,
    config::{Need, Settings},
    db::{Database, emails::outbox::OutboxRow},
    mail::{Locale, TemplateName, Templates, sample::samples},
    order::EmailId,
};

#[derive(Subcommand, Debug)]
pub(super) enum EmailCommand {
    /// Lists emails that are or were owed, the newest first. It shows no address: `customers` has it.
    List {
        /// Only those with this status.
        #[arg(long, value_parser = ["queued", "sent", "failed", "disabled"])]
        status: Option<String>,
        /// Only those of this template.
        #[arg(long, value_parser = templates())]
        template: Option<TemplateName>,
        /// Only those of this order.
        #[arg(long, value_name = "REF")]
        order: Option<String>,
        /// At most so many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(i64).range(1..=1000))]
        limit: i64,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Shows an email as a customer would get it, with made-up contents: try your own templates (`email.templates_dir`).
    Preview(PreviewArgs),
    /// Owes an email that was sent, given up or disabled once more. Its Message-ID stays.
    ///
    /// A customer may get it twice: it is asked for who says so, and noted in the order's timeline.
    Resend {
        /// The email, as `email list` numbers them.
        #[arg(value_parser = clap::value_parser!(i64).range(1..))]
        id: i64,
        #[command(flatten)]
        said: SaidArgs,
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Args, Debug)]
pub(super) struct PreviewArgs {
    /// Which email.
    #[arg(value_parser = templates())]
    template: TemplateName,
    /// In which language.
    #[arg(long, default_value = "en", value_parser = locales())]
    locale: Locale,
    /// Which of its examples, from 1: some emails take several forms.
    #[arg(long, default_value_t = 1, value_name = "N")]
    example: usize,
    /// The HTML instead of the text.
    #[arg(long, conflicts_with = "json")]
    html: bool,
    /// For scripts: subject, text and HTML.
    #[arg(long)]
    json: bool,
}

fn templates() -> impl TypedValueParser<Value = TemplateName> {
    PossibleValuesParser::new(TemplateName::ALL.iter().map(|name| name.as_str()))
        .try_map(|name| name.parse::<TemplateName>())
}

fn locales() -> impl TypedValueParser<Value = Locale> {
    PossibleValuesParser::new(Locale::ALL.iter().map(|locale| locale.as_str()))
        .try_map(|name| name.parse::<Locale>())
}

impl EmailCommand {
    /// What of the configuration it needs.
    pub(super) const fn needs(&self) -> &'static [Need] {
        match self {
            Self::List { .. } | Self::Resend { .. } => &[Need::Database],
            Self::Preview(_) => &[],
        }
    }
}

pub(super) async fn email(command: EmailCommand, settings: &Settings) -> Result<(), Failed> {
    match command {
        EmailCommand::List { status, template, order, limit, json } => {
            let db = app::connect_now(settings).await?;
            let template = template.map(TemplateName::as_str);
            let listed = db.list_emails((status.as_deref(), template, order.as_deref()), limit);
            let rows = listed.await.map_err(anyhow::Error::from)?;
            if json {
                return Ok(output::json(&rows)?);
            }
            show(&rows);
            Ok(())
        }
        EmailCommand::Preview(args) => Ok(preview(&args, settings)?),
        EmailCommand::Resend { id, said, json } => {
            let db = app::connect_now(settings).await?;
            Ok(resend(&db, EmailId(id), &said, json).await?)
        }
    }
}

fn show(rows: &[OutboxRow]) {
    if rows.is_empty() {
        output::line("No such email.");
        return;
    }
    let mut table = output::table(&[
        "ID",
        "TEMPLATE",
        "ABOUT",
        "STATUS",
        "TRIES",
        "OWED",
        "SETTLED",
        "LAST ERROR",
    ]);
    for row in rows {
        table.add_row([
            row.id.to_string(),
            row.template.clone(),
            output::cell(row.about.as_ref()),
            row.status.clone(),
            row.attempts.to_string(),
            output::time(Some(row.created_at)),
            output::time(row.settled_at),
            output::cell(row.last_error.as_ref()),
        ]);
    }
    output::line(&table.to_string());
}

fn preview(args: &PreviewArgs, settings: &Settings) -> anyhow::Result<()> {
    let templates = Templates::load(settings.email.templates_dir.as_deref())?;
    let examples = samples(args.template);
    let at = args.example.checked_sub(1).and_then(|at| examples.get(at));
    let Some(example) = at else {
        bail!("{} has {} examples: --example 1 to {0}", args.template, examples.len());
    };
    let rendered = templates.render(args.template, args.locale, example)?;
    if args.json {
        return output::json(&json!({
            "template": args.template.as_str(), "locale": args.locale.as_str(), "examples": examples.len(),
            "subject": rendered.subject, "text": rendered.text, "html": rendered.html,
        }));
    }
    if args.html {
        output::line(&rendered.html);
    } else {
        output::line(&format!("Subject: {}\n\n{}", rendered.subject, rendered.text.trim_end()));
    }
    if examples.len() > 1 {
        output::note(&format!("Example {} of {}.", args.example, examples.len()));
    }
    Ok(())
}

async fn resend(db: &Database, id: EmailId, said: &SaidArgs, is_json: bool) -> anyhow::Result<()> {
    let was = db.resend_email(id, &said.who()?, said.why()).await?;
    let was = was.ok_or_else(|| anyhow!("there is no email {id}: provisor email list"))?;
    let changed = was != "queued";
    if is_json {
        return output::json(&json!({ "id": id.0, "was": was, "changed": changed }));
    }
    if changed {
        output::line(&format!("Email {id} is owed again; it was {was}. A daemon sends it."));
    } else {
        output::line(&format!("Nothing to do: email {id} is owed already."));
    }
    Ok(())
}
