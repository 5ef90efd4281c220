//! Templates: compiled in, replaceable one by one, strict, and tried at load rather than on a customer.

mod filters;
mod overrides;

use std::{collections::BTreeMap, fmt, io, path::Path};

use minijinja::{
    Environment, ErrorKind, UndefinedBehavior, Value, syntax::SyntaxConfig, value::Serde,
};
use serde_json::Value as Json;

use self::{
    filters::{date, readable, reflowed, wrap},
    overrides::Overrides,
};
use super::{
    Context, built_in,
    clean::{clean, clean_header},
    sample,
};
use crate::order::text_enum;

/// The most that one part of a mail may become, in bytes; far above any mail that a person reads.
pub const PART_BYTES_MAX: usize = 256 * 1024;

/// The longest value that a template is given, in characters. Longer ones are cut.
const VALUE_CHARS_MAX: usize = 1000;

/// The most instructions that one part may take: a loop without output must end as well.
const FUEL: u64 = 1_000_000;

text_enum! {
    /// An email that Provisor sends (contract, "Emails").
    TemplateName {
        /// To the customer, at the submission; disabled by default.
        OrderReceived = "order_received",
        /// To the customer, when a line is done and another has been open for `poll.progress_after`.
        OrderProgress = "order_progress",
        /// To the customer: everything is delivered.
        OrderCompleted = "order_completed",
        /// To the customer: some is delivered and some will not be.
        OrderPartial = "order_partial",
        /// To the customer: nothing was delivered.
        OrderFailed = "order_failed",
        /// To the customer, once, after `poll.overdue_after`.
        OrderDelayed = "order_delayed",
        /// To the customer, before a domain expires.
        DomainExpiring = "domain_expiring",
        /// To the customer, after a domain has expired.
        DomainExpired = "domain_expired",
        /// To the operator, at once: a person must know, and perhaps decide.
        OpsAttention = "ops_attention",
        /// To the operator: what the audit has found.
        OpsAudit = "ops_audit",
    }
}

text_enum! {
    /// A language that mails are written in.
    Locale {
        /// English, the default.
        En = "en",
        /// Dutch.
        Nl = "nl",
    }
}

impl TemplateName {
    /// Whether it goes to the operator, and so may name causes, suppliers and commands.
    #[must_use]
    pub const fn is_for_operator(self) -> bool {
        matches!(self, Self::OpsAttention | Self::OpsAudit)
    }
}

/// Why templates could not be loaded, or a mail not be rendered. No variant holds a customer's data.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// `email.templates_dir`, or a file in it, could not be read as UTF-8 text.
    #[error("can't read the template {file}")]
    Read {
        /// The path.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file that replaces nothing: most likely a misspelt name.
    #[error("{file} replaces no template; the names are {allowed}")]
    Unknown {
        /// The path.
        file: String,
        /// The names that are possible there.
        allowed: String,
    },
    /// A template is wrong.
    #[error("{file}, line {line}: {detail}")]
    Invalid {
        /// The path, or the built-in template's name.
        file: String,
        /// From 1; 0 where the template engine doesn't know.
        line: usize,
        /// What is wrong. At [`Templates::render`] only its kind, since more could quote a customer.
        detail: String,
    },
    /// A file, or what became of it, is larger than [`PART_BYTES_MAX`].
    #[error("{file}: larger than {PART_BYTES_MAX} bytes")]
    TooLarge {
        /// The path, or the built-in template's name.
        file: String,
    },
}

/// A mail's content, ready to be composed.
#[derive(Clone, Eq, PartialEq)]
pub struct Rendered {
    /// One line.
    pub subject: String,
    /// The plain text.
    pub text: String,
    /// The HTML document.
    pub html: String,
}

impl fmt::Debug for Rendered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendered")
            .field("text_bytes", &self.text.len())
            .field("html_bytes", &self.html.len())
            .finish_non_exhaustive()
    }
}

/// All templates in all locales, compiled. Cheap to share by reference, immutable.
#[derive(Debug)]
pub struct Templates {
    by_locale: BTreeMap<Locale, Environment<'static>>,
    overrides: Overrides,
}

impl Templates {
    /// The built-in templates, with those files of `dir` in their place that have the same relative
    /// name (`layout.html`, `nl/order_failed.txt`, …). Names that begin with a dot are passed over.
    ///
    /// Every template is compiled, and rendered once with examples, so that a misspelt variable is
    /// an error here and not on the day that the first mail needs it.
    pub fn load(dir: Option<&Path>) -> Result<Self, TemplateError> {
        let overrides = dir.map(Overrides::read).transpose()?.unwrap_or_default();
        let mut templates = Self { by_locale: BTreeMap::new(), overrides };
        for &locale in Locale::ALL {
            let environment = templates.compile(locale)?;
            templates.by_locale.insert(locale, environment);
        }
        templates.try_all()?;
        Ok(templates)
    }

    /// The mail `name` in `locale`, told what `context` says.
    pub fn render(
        &self,
        name: TemplateName,
        locale: Locale,
        context: &Context,
    ) -> Result<Rendered, TemplateError> {
        self.parts(name, locale, context).map_err(|failure| self.error(locale, &failure, false))
    }

    fn compile(&self, locale: Locale) -> Result<Environment<'static>, TemplateError> {
        let mut environment = new_environment(locale);
        for &(name, built_in) in built_in::SHARED.iter().chain(built_in::of(locale)) {
            let source = self.overrides.source(locale, name).unwrap_or(built_in).to_owned();
            environment.add_template_owned(name, source).map_err(|error| {
                self.error(locale, &Failure { template: name.to_owned(), error: Some(error) }, true)
            })?;
        }
        Ok(environment)
    }

    /// Renders every template with every example.
    fn try_all(&self) -> Result<(), TemplateError> {
        for &locale in Locale::ALL {
            for &name in TemplateName::ALL {
                for context in sample::samples(name) {
                    self.parts(name, locale, &context)
                        .map_err(|failure| self.error(locale, &failure, true))?;
                }
            }
        }
        Ok(())
    }

    fn parts(
        &self,
        name: TemplateName,
        locale: Locale,
        context: &Context,
    ) -> Result<Rendered, Failure> {
        let values = values(context).map_err(|error| Failure::new(name.as_str(), error))?;
        let part = |extension: &str| {
            let template = format!("{name}.{extension}");
            self.part(locale, &template, &values).map_err(|error| Failure { template, error })
        };
        Ok(Rendered {
            subject: clean_header(&part("subject.txt")?),
            text: reflowed(&part("txt")?),
            html: part("html")?,
        })
    }

    /// One part; an error of `None` means that it became too large.
    fn part(
        &self,
        locale: Locale,
        template: &str,
        values: &Value,
    ) -> Result<String, Option<minijinja::Error>> {
        let environment = self
            .by_locale
            .get(&locale)
            .ok_or_else(|| Some(minijinja::Error::from(ErrorKind::TemplateNotFound)))?;
        let mut output = Bounded { bytes: Vec::new(), overflown: false };
        let result = environment
            .get_template(template)
            .and_then(|template| template.render_captured_to(values.clone(), &mut output));
        match result {
            _ if output.overflown => Err(None),
            Ok(_) => String::from_utf8(output.bytes)
                .map_err(|_| Some(minijinja::Error::from(ErrorKind::WriteFailure))),
            Err(error) => Err(Some(error)),
        }
    }

    fn error(&self, locale: Locale, failure: &Failure, in_full: bool) -> TemplateError {
        let Some(error) = &failure.error else {
            return TemplateError::TooLarge {
                file: self.overrides.file(locale, &failure.template),
            };
        };
        let error = innermost(error);
        TemplateError::Invalid {
            file: self.overrides.file(locale, error.name().unwrap_or(&failure.template)),
            line: error.line().unwrap_or(0),
            detail: match error.detail() {
                Some(detail) if in_full => format!("{}: {detail}", error.kind()),
                _ => error.kind().to_string(),
            },
        }
    }
}

/// A template that failed; without an error it became too large.
struct Failure {
    template: String,
    error: Option<minijinja::Error>,
}

impl Failure {
    fn new(template: &str, error: minijinja::Error) -> Self {
        Self { template: template.to_owned(), error: Some(error) }
    }
}

/// The error at the bottom of "could not render include" and the like: it has the line that is wrong.
fn innermost(error: &minijinja::Error) -> &minijinja::Error {
    let mut innermost = error;
    while let Some(source) = std::error::Error::source(innermost)
        && let Some(source) = source.downcast_ref::<minijinja::Error>()
    {
        innermost = source;
    }
    innermost
}

fn new_environment(locale: Locale) -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_fuel(Some(FUEL));
    // Can only fail on odd delimiters, of which it is given none.
    if let Ok(syntax) = syntax() {
        environment.set_syntax(syntax);
    }
    environment.add_global("lang", locale.as_str());
    environment.add_filter("date", move |day: &str| date(locale, day));
    environment.add_filter("readable", readable);
    environment.add_filter("wrap", wrap);
    environment
}

/// Block tags on lines of their own leave no trace; everything else stays as it is written.
fn syntax() -> Result<SyntaxConfig, minijinja::Error> {
    SyntaxConfig::builder()
        .trim_blocks(true)
        .lstrip_blocks(true)
        .keep_trailing_newline(true)
        .build()
}

/// The context as templates see it: every text in it is one clean line, whoever wrote it, so that
/// no name can add a paragraph to a mail or turn its direction.
fn values(context: &Context) -> Result<Value, minijinja::Error> {
    let mut json = serde_json::to_value(context).map_err(|_| {
        minijinja::Error::new(ErrorKind::BadSerialization, "the context is not JSON")
    })?;
    clean_texts(&mut json);
    Ok(Serde(&json).into())
}

fn clean_texts(json: &mut Json) {
    match json {
        Json::String(text) => *text = clean(text, VALUE_CHARS_MAX),
        Json::Array(items) => items.iter_mut().for_each(clean_texts),
        Json::Object(fields) => fields.values_mut().for_each(clean_texts),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A writer that refuses what goes beyond [`PART_BYTES_MAX`].
struct Bounded {
    bytes: Vec<u8>,
    overflown: bool,
}

impl io::Write for Bounded {
    fn write(&mut self, more: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + more.len() > PART_BYTES_MAX {
            self.overflown = true;
            return Err(io::Error::other("too large"));
        }
        self.bytes.extend_from_slice(more);
        Ok(more.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
