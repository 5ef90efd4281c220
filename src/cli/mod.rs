//! The commands, one file per group.

mod audit;
mod change;
mod check;
mod configuration;
mod cure;
mod customer;
mod demo;
mod email;
mod leanstack;
mod ljpc;
mod order;
mod output;
mod plan;
mod queue;
mod report;
mod said;
mod shells;

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use clap::{Parser, Subcommand};

use self::configuration::ConfigCommand;
use crate::{
    app,
    config::{self, ConfigErrors, LogFormat, Need, Settings, Sources},
    db::schema::SchemaState,
    lifecycle::Lifecycle,
    sandbox::{self, args::SandboxArgs},
    telemetry::{
        Traces,
        logs::{self, Format},
    },
};

/// How long the end of the daemon waits for its last traces.
const LAST_TRACES_MAX: Duration = Duration::from_secs(2);

/// Turns paid retail orders for hosting and domain names into delivered services, exactly once.
///
/// A shop puts its orders into PostgreSQL by `SELECT provisor.submit_order(…)`. `provisor run` takes each from there:
/// it places it at the upstream, polls until it is delivered, and writes to the customer. `provisor order show REF`
/// tells what happened, and what comes next.
#[derive(Parser, Debug)]
#[command(name = "provisor", version, max_term_width = 100)]
#[command(after_help = "Try it without an account: `provisor demo`.\n\
    Exit status: 0 done, 1 failed, 2 wrong usage or configuration.")]
pub struct Cli {
    /// A settings file that is laid over the others, and that the environment (`PROVISOR_LJPC__API_KEY=…`) is laid over.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Runs the daemon: places orders, polls them, sends emails. Never migrates. SIGTERM drains, a second one ends at once.
    Run,
    /// Brings the database's schema up to date. Safe to run from several places at once, and again.
    Migrate,
    /// Looks whether configuration, database, schema, upstreams and mail server are well. Sends no mail and buys nothing.
    Check {
        /// For scripts.
        #[arg(long)]
        json: bool,
    },
    /// Submits, plans, lists, shows and cancels orders.
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Shows the queue, and lets it go on after a failover or a mended key.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// Compares what the account has with what is wished: expiry, renewal, sites, prices; reminds customers.
    Audit(audit::AuditArgs),
    /// Lists emails, shows what they look like, and sends one again.
    #[command(subcommand)]
    Email(email::EmailCommand),
    /// Prints what is known of a customer, and forgets him.
    #[command(subcommand)]
    Customer(customer::CustomerCommand),
    /// Shows what this process is configured with, and where each value comes from.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Asks LJPc what it sells and what this account has there, and buys or changes it: through the ledger, asking first.
    Ljpc(ljpc::LjpcArgs),
    /// Asks Leanstack about names, and makes customers known to it. Its answers are advice: LJPc's decide.
    Leanstack(leanstack::LeanstackArgs),
    /// Prints the completions for a shell: `provisor completions bash > /etc/bash_completion.d/provisor`.
    Completions(shells::CompletionsArgs),
    /// Writes the man pages, one for each command, into a folder.
    Man(shells::ManArgs),
    // No comment for help here: it would take the place of the longer one at the arguments.
    Sandbox(SandboxArgs),
    Demo(demo::DemoArgs),
}

/// A command that did not succeed, and how the process exits for it.
enum Failed {
    /// 1: tried, and failed.
    Done(anyhow::Error),
    /// 1, and everything is said already.
    Told,
    /// 2: the configuration, and everything is said already.
    ToldOfConfiguration,
    /// 2: the configuration.
    Configuration(ConfigErrors),
    /// 2: wrong usage that clap can't see.
    Usage(String),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Done(error)
    }
}

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    logs::hide_data_of_panics();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            output::error(&format!("the runtime can't be started: {error}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(execute(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Told) => ExitCode::FAILURE,
        Err(Failed::ToldOfConfiguration) => ExitCode::from(2),
        Err(Failed::Done(error)) => {
            output::error(&format!("{error:#}"));
            ExitCode::FAILURE
        }
        Err(Failed::Usage(wrong)) => {
            output::error(&wrong);
            ExitCode::from(2)
        }
        Err(Failed::Configuration(errors)) => {
            output::error(&format!("the configuration can't be used:\n{errors}"));
            ExitCode::from(2)
        }
    }
}

async fn execute(cli: Cli) -> Result<(), Failed> {
    let load = |needs: &[Need]| {
        let settings = config::load(&Sources::from_process(cli.config.clone()), needs);
        settings.map_err(Failed::Configuration)
    };
    match cli.command {
        Command::Run => run(&load(&[Need::Database, Need::Ljpc, Need::Email])?).await,
        Command::Migrate => migrate(&load(&[Need::Database])?).await,
        Command::Check { json } => check::check(&Sources::from_process(cli.config), json).await,
        Command::Order(command) => {
            let settings = load(command.needs())?;
            order::order(command, &settings).await
        }
        Command::Queue(command) => queue::queue(command, &load(&[Need::Database])?).await,
        Command::Audit(args) => {
            let settings = load(args.needs())?;
            audit::audit(args, &settings).await
        }
        Command::Customer(command) => {
            let settings = load(customer::CustomerCommand::needs())?;
            customer::customer(command, &settings).await
        }
        Command::Email(command) => {
            let settings = load(command.needs())?;
            email::email(command, &settings).await
        }
        Command::Config(ConfigCommand::Reference) => {
            output::line(config::reference().trim_end());
            Ok(())
        }
        Command::Config(ConfigCommand::Show { json }) => configuration::show(json, &load(&[])?),
        Command::Ljpc(args) => {
            let settings = load(args.needs())?;
            ljpc::ljpc(args, &settings).await
        }
        Command::Leanstack(args) => {
            let settings = load(args.needs())?;
            leanstack::leanstack(args, &settings).await
        }
        Command::Completions(args) => Ok(shells::completions(&args)?),
        Command::Man(args) => Ok(shells::man(&args)?),
        Command::Sandbox(args) => serve_sandbox(args).await,
        Command::Demo(args) => demo::demo(args).await,
    }
}

async fn run(settings: &Settings) -> Result<(), Failed> {
    let traces = app::traces(settings)?;
    init_logs(settings, traces.as_ref())?;
    let lifecycle = Lifecycle::by_signals().map_err(anyhow::Error::from)?;
    let ran = app::run(settings, &lifecycle).await;
    if let Some(traces) = traces {
        let finishing = tokio::task::spawn_blocking(move || traces.finish(LAST_TRACES_MAX));
        // A panic of it is in the log; the daemon has done its work.
        let _ = finishing.await;
    }
    Ok(ran?)
}

fn init_logs(settings: &Settings, traces: Option<&Traces>) -> anyhow::Result<()> {
    let format = match settings.log.format {
        LogFormat::Json => Format::Json,
        LogFormat::Text => Format::Text,
    };
    Ok(logs::init(format, &settings.log.filter, traces)?)
}

async fn migrate(settings: &Settings) -> Result<(), Failed> {
    let db = app::connect_to_any_schema(settings).await?;
    db.migrate().await.map_err(anyhow::Error::from)?;
    match db.schema_state().await.map_err(anyhow::Error::from)? {
        SchemaState::Serves => output::line("The schema `provisor` is up to date."),
        SchemaState::ServesStill(applied) => output::line(&format!(
            "The schema `provisor` is newer than this binary (migration {applied}), and serves it all the same."
        )),
        SchemaState::Lacking(reason) => return Err(anyhow::anyhow!(reason).into()),
    }
    Ok(())
}

async fn serve_sandbox(args: SandboxArgs) -> Result<(), Failed> {
    logs::init(Format::Text, "info", None).map_err(anyhow::Error::from)?;
    let lifecycle = Lifecycle::by_signals().map_err(anyhow::Error::from)?;
    let options = args.into_options();
    let (key, mails) = (options.api_key.clone(), options.mail_dir.clone());
    let token = options.leanstack_token.clone();
    let sandbox = sandbox::start(options).await.map_err(anyhow::Error::from)?;
    output::line(&format!(
        "The sandbox stands in for LJPc, for Leanstack and for a mail server. Point Provisor at it:\n\n\
         \x20   export PROVISOR_LJPC__BASE_URL=http://{}\n\
         \x20   export PROVISOR_LJPC__API_KEY={key}\n\
         \x20   export PROVISOR_LEANSTACK__ENABLED=true\n\
         \x20   export PROVISOR_LEANSTACK__BASE_URL=http://{}\n\
         \x20   export PROVISOR_LEANSTACK__ACCESS_TOKEN={token}\n\
         \x20   export PROVISOR_EMAIL__SMTP_URL=smtp://{}\n\
         \x20   export PROVISOR_EMAIL__FROM=shop@example.com\n\n\
         Mails are kept in {}. What was asked of it: GET /_sandbox/journal, /_sandbox/summary;\n\
         what there is: GET /_sandbox/orders, /_sandbox/domains, /_sandbox/contacts, /_sandbox/customers.\n\
         What shall go wrong: POST /_sandbox/faults. Ctrl-C ends it.",
        sandbox.ljpc_addr(),
        sandbox.leanstack_addr(),
        sandbox.smtp_addr(),
        mails.display(),
    ));
    lifecycle.stop.cancelled().await;
    sandbox.stop().await;
    Ok(())
}

/// For commands that ask the upstream and end before anybody could look at a metric.
fn unobserved() -> Arc<dyn crate::upstream::Observer> {
    Arc::new(crate::upstream::Unobserved)
}
