//! Logs: one line an event, to standard error, in JSON or for people.
//!
//! What may stand in a field is each caller's duty; here it is only seen to that a panic does not carry data out.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::fmt;
use std::io::IsTerminal as _;
use std::panic::PanicHookInfo;

use thiserror::Error;
use tracing::field::Field;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::{Writer, debug_fn};
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, layer::SubscriberExt as _};

use super::Traces;

/// How a line looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// One JSON object a line: `timestamp` in UTC, `level`, `target`, the event's fields beside them, and `spans`, from
    /// the outermost to the current one, each with its fields.
    Json,
    /// For people; coloured if standard error is a terminal.
    Text,
}

/// Why there are no logs.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter can't be read: a mistake of the configuration.
    #[error(
        "log.filter is not a filter: write a level, or levels by module, as in info,provisor::queue=debug"
    )]
    Filter(#[source] tracing_subscriber::filter::ParseError),
    /// A second call in one process.
    #[error("logs were set up already")]
    AlreadySet(#[source] tracing_subscriber::util::TryInitError),
}

/// Sends this process's logs to standard error from here on, and its panics with them; and its traces, if there are any.
pub fn init(format: Format, filter: &str, traces: Option<&Traces>) -> Result<(), LogError> {
    let filter = EnvFilter::builder().parse(filter).map_err(LogError::Filter)?;
    let coloured = std::io::stderr().is_terminal();
    subscriber(format, filter, std::io::stderr, coloured, traces)
        .try_init()
        .map_err(LogError::AlreadySet)?;
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// For a process without logs: its panics say where they were and what the source says of them, and hold no data.
pub fn hide_data_of_panics() {
    std::panic::set_hook(Box::new(|info| {
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let what = harmless_text(info.payload());
        // Where even that can't be said, nobody reads it.
        let text = format!("provisor: panicked at {location}: {what}\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }));
}

fn subscriber<W>(
    format: Format,
    filter: EnvFilter,
    writer: W,
    coloured: bool,
    traces: Option<&Traces>,
) -> Box<dyn tracing::Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match format {
        // The whole list of spans, of which the last is the current one: an order's reference stands in an outer span.
        Format::Json => {
            lines.json().flatten_event(true).with_current_span(false).with_span_list(true).boxed()
        }
        // One line an event here too, whatever others have put into a value.
        Format::Text => {
            lines.fmt_fields(debug_fn(write_field).delimited(" ")).with_ansi(coloured).boxed()
        }
    };
    let registry = tracing_subscriber::registry().with(lines.with_filter(filter));
    Box::new(registry.with(traces.map(Traces::layer)))
}

/// A field for people: what would end the line, or command the terminal, is written as Rust's source has it.
fn write_field(writer: &mut Writer<'_>, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
    match field.name() {
        "message" => {}
        // Our own, and of many lines.
        "backtrace" => return write!(writer, "\n{value:?}"),
        name => write!(writer, "{name}=")?,
    }
    for c in format!("{value:?}").chars() {
        if c.is_control() {
            write!(writer, "{}", c.escape_default())?;
        } else {
            writer.write_char(c)?;
        }
    }
    Ok(())
}

/// In place of the standard hook, which prints the payload whatever it holds.
fn log_panic(info: &PanicHookInfo<'_>) {
    let location = info.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let captured = backtrace.status() == BacktraceStatus::Captured;
    tracing::error!(
        location,
        thread = thread.name().unwrap_or("unnamed"),
        what = harmless_text(info.payload()),
        backtrace = captured.then(|| tracing::field::display(&backtrace)),
        "panicked"
    );
}

/// The payload's text if it was a literal in the source. A formatted text may hold a customer's data, or a secret.
fn harmless_text(payload: &(dyn Any + Send)) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or("(a text that may hold data)")
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::process::Command;
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What these events look like.
    fn logged(format: Format, filter: &str, events: impl FnOnce()) -> String {
        let lines = Lines::default();
        let writer = lines.clone();
        let filter = EnvFilter::builder().parse(filter).unwrap();
        let subscriber = subscriber(format, filter, move || writer.clone(), false, None);
        tracing::subscriber::with_default(subscriber, events);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_json_line_is_flat_and_bears_its_spans() {
        let text = logged(Format::Json, "info", || {
            let _outer = tracing::info_span!("line", reference = "SHOP-1").entered();
            let _inner = tracing::info_span!("request", endpoint = "GET /x").entered();
            tracing::info!(attempt = 2, "placed");
        });
        let line: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.lines().count(), 1);
        assert_eq!(line["message"], "placed");
        assert_eq!(line["attempt"], 2);
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["spans"][0]["reference"], "SHOP-1");
        assert_eq!(line["spans"][1]["endpoint"], "GET /x");
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.ends_with('Z'), "{timestamp}");
        assert!(chrono::DateTime::parse_from_rfc3339(timestamp).is_ok());
    }

    #[test]
    fn text_is_for_people_and_uncoloured_outside_a_terminal() {
        let text = logged(Format::Text, "info", || tracing::warn!(lane = "place", "slow"));
        assert!(text.contains("WARN") && text.contains("slow lane=\"place\""), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn nobody_writes_a_line_of_his_own_or_commands_the_terminal() {
        let hostile = "x\nERROR forged\r\u{1b}[2J\u{9b}1m\tend";
        for format in [Format::Text, Format::Json] {
            let text = logged(format, "info", || {
                let _span = tracing::info_span!("line", reference = %hostile).entered();
                tracing::warn!(answer = %hostile, "{hostile}");
            });
            assert_eq!(text.lines().count(), 1, "{text}");
            assert!(text.ends_with('\n') && text.matches("forged").count() == 3, "{text}");
            let is_command =
                |c: char| c.is_ascii_control() || format == Format::Text && c.is_control();
            assert!(!text.trim_end().contains(is_command), "{text:?}");
        }
    }

    #[test]
    fn the_filter_filters() {
        let text = logged(Format::Json, "warn,other=debug", || {
            tracing::info!("hidden");
            tracing::debug!(target: "other", "shown");
            tracing::warn!("shown too");
        });
        assert_eq!(text.lines().count(), 2);
        assert!(!text.contains("hidden"));
    }

    #[test]
    fn a_filter_that_is_none_is_refused() {
        let error = init(Format::Json, "info,=,==", None).unwrap_err();
        assert!(matches!(error, LogError::Filter(_)));
        assert!(error.to_string().starts_with("log.filter"));
    }

    /// Set in the process that the next test starts.
    const CHILD: &str = "PROVISOR_TEST_CHILD";

    /// Not a test by itself: the body of the process that the next test starts, for hooks and logs are set once a process.
    #[test]
    fn process_that_panics() {
        if std::env::var_os(CHILD).is_none() {
            return;
        }
        init(Format::Json, "info", None).unwrap();
        assert!(matches!(init(Format::Json, "info", None), Err(LogError::AlreadySet(_))));
        let customer = std::hint::black_box("bob@example.com");
        let formatted = std::panic::catch_unwind(|| panic!("customer {customer}"));
        let literal = std::panic::catch_unwind(|| panic!("a literal"));
        assert!(formatted.is_err() && literal.is_err());
    }

    #[test]
    fn a_panic_is_logged_without_its_data() {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "telemetry::logs::tests::process_that_panics"])
            .args(["--nocapture", "--test-threads=1"])
            .env("RUST_BACKTRACE", "0")
            .env(CHILD, "1")
            .output()
            .unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{text}");
        assert!(!text.contains("bob@example.com"), "{text}");
        let lines: Vec<Value> =
            text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let whats: Vec<&str> = lines.iter().filter_map(|line| line["what"].as_str()).collect();
        assert_eq!(whats, ["(a text that may hold data)", "a literal"], "{text}");
        for line in &lines {
            assert_eq!(line["message"], "panicked");
            assert_eq!(line["level"], "ERROR");
            assert!(line["location"].as_str().unwrap().starts_with("src/telemetry/logs.rs:"));
        }
    }
}
