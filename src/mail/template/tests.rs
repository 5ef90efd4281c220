use chrono::NaiveDate;
use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
};

use super::*;
use crate::mail::{Customer, Line, Ops, Order, sample::samples};

/// Every template in every locale, with the locale's own examples.
fn each() -> impl Iterator<Item = (TemplateName, Locale, Rendered)> {
    let templates = Templates::load(None).unwrap();
    TemplateName::ALL.iter().flat_map(|&name| Locale::ALL.iter().map(move |&l| (name, l))).flat_map(
        move |(name, locale)| {
            samples(name)
                .iter()
                .map(|context| (name, locale, templates.render(name, locale, context).unwrap()))
                .collect::<Vec<_>>()
        },
    )
}

/// A folder of templates that goes when the test does.
struct Folder(PathBuf);

impl Folder {
    fn with(files: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let n = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = Self(
            std::env::temp_dir().join(format!("provisor-templates-{}-{n}", std::process::id())),
        );
        fs::create_dir_all(&folder.0).unwrap();
        for (name, source) in files {
            let path = folder.0.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, source).unwrap();
        }
        folder
    }

    fn load(&self) -> Result<Templates, TemplateError> {
        Templates::load(Some(&self.0))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

fn rejected(name: &str, source: &str) -> String {
    let folder = Folder::with(&[(name, source)]);
    let error = folder.load().unwrap_err().to_string();
    error.replace(&format!("{}/", folder.0.display()), "")
}

#[test]
fn every_mail_reads_as_written() {
    let templates = Templates::load(None).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for &name in TemplateName::ALL {
        for &locale in Locale::ALL {
            let mails: Vec<Rendered> = samples(name)
                .iter()
                .map(|context| templates.render(name, locale, context).unwrap())
                .collect();
            let texts: Vec<String> = mails
                .iter()
                .map(|mail| format!("Subject: {}\n\n{}", mail.subject, mail.text))
                .collect();
            let text = texts.join("\n----------------------------------------\n");
            settings.set_snapshot_suffix(format!("{name}.{locale}.txt"));
            settings.bind(|| insta::assert_snapshot!("mail", text));
            settings.set_snapshot_suffix(format!("{name}.{locale}.html"));
            settings.bind(|| insta::assert_snapshot!("mail", mails[0].html));
        }
    }
}

#[test]
fn html_is_a_whole_document_that_fetches_and_runs_nothing() {
    for (name, locale, mail) in each() {
        let html = &mail.html;
        assert!(html.starts_with("<!DOCTYPE html>"), "{name} {locale}");
        assert!(html.trim_end().ends_with("</html>"), "{name} {locale}");
        assert!(html.contains(&format!("<html lang=\"{locale}\"")), "{name} {locale}");
        for banned in
            ["<script", "<img", "<link", "<form", "http:", "https:", "url(", "javascript:"]
        {
            assert!(!html.contains(banned), "{name} {locale}: {banned}");
        }
        for tag in ["table", "tr", "td", "p", "h1", "h2", "div", "span", "ul", "li", "pre", "title"]
        {
            let opened = html.matches(&format!("<{tag}>")).count()
                + html.matches(&format!("<{tag} ")).count();
            assert_eq!(
                opened,
                html.matches(&format!("</{tag}>")).count(),
                "{name} {locale}: {tag}"
            );
        }
        assert!(!html.contains("<title></title>"), "{name} {locale}");
    }
}

#[test]
fn text_and_subject_are_tidy() {
    for (name, locale, mail) in each() {
        assert!((10..=100).contains(&mail.subject.chars().count()), "{name}: {}", mail.subject);
        assert!(!mail.subject.contains('\n'));
        assert!(
            mail.text.ends_with('\n') && !mail.text.starts_with(['\n', ' ']),
            "{name} {locale}"
        );
        assert!(!mail.text.contains("none"), "{name} {locale}:\n{}", mail.text);
        for line in mail.text.lines().filter(|line| !line.starts_with("  provisor ")) {
            assert!(line.chars().count() <= 80, "{name} {locale}: {line}");
        }
        for part in [&mail.text, &mail.html] {
            for leftover in ["{{", "{%", "{#", "undefined", "  \n", "!!"] {
                assert!(!part.contains(leftover), "{name} {locale}: {leftover:?}\n{part}");
            }
        }
        assert!(!mail.text.contains("\n\n\n"), "{name} {locale}:\n{}", mail.text);
    }
}

#[test]
fn customers_read_nothing_of_the_house() {
    for (name, locale, mail) in each().filter(|(name, ..)| !name.is_for_operator()) {
        let all = format!("{} {} {}", mail.subject, mail.text, mail.html).to_lowercase();
        for word in [
            "ljpc",
            "leanstack",
            "upstream",
            "provisor",
            "in_doubt",
            "in doubt",
            "held",
            "€",
            "eur ",
        ] {
            assert!(!all.contains(word), "{name} {locale}: {word}");
        }
        assert!(all.contains("bob brown") && all.contains("example shop"), "{name} {locale}");
    }
}

#[test]
fn hostile_words_stay_words() {
    let name = "<script>alert(1)</script>\r\n\r\nPay here: \u{202E}{{ 7*7 }}\0";
    let context = Context {
        sender_name: name.to_owned(),
        customer: Some(Customer {
            first_name: name.to_owned(),
            last_name: "x".repeat(100_000),
            organization: None,
        }),
        order: Some(Order { reference: name.to_owned(), submitted_on: NaiveDate::MIN }),
        lines: vec![Line {
            kind: name.to_owned(),
            domain: Some(name.to_owned()),
            package: Some(name.to_owned()),
            billing_period: Some(name.to_owned()),
            status: name.to_owned(),
            ..Line::default()
        }],
        ops: Some(Ops { status: name.to_owned(), reason: name.to_owned(), ..Ops::default() }),
        ..Context::default()
    };
    let templates = Templates::load(None).unwrap();
    for &locale in Locale::ALL {
        for template in [TemplateName::OrderCompleted, TemplateName::OpsAttention] {
            let mail = templates.render(template, locale, &context).unwrap();
            assert!(!mail.html.contains("<script"), "{template}");
            assert!(mail.html.contains("&lt;script&gt;"), "{template}");
            assert!(
                mail.text.contains("<script>alert(1)</script> Pay here: {{ 7*7 }}"),
                "{template}"
            );
            assert!(mail.subject.chars().count() <= 200, "{template}");
            for part in [&mail.subject, &mail.text, &mail.html] {
                assert!(!part.contains(['\0', '\r', '\u{202E}']), "{template}");
                assert!(!part.contains("\n\nPay here"), "{template}");
                assert!(part.len() < 20_000, "{template}");
            }
        }
    }
}

#[test]
fn names_are_read_back() {
    for &name in TemplateName::ALL {
        assert_eq!(name.as_str().parse::<TemplateName>().unwrap(), name);
    }
    for &locale in Locale::ALL {
        assert_eq!(locale.as_str().parse::<Locale>().unwrap(), locale);
    }
    assert!("de".parse::<Locale>().is_err());
    assert!("Order_Failed".parse::<TemplateName>().is_err());
}

#[test]
fn dates_are_written_in_the_language() {
    for (locale, day, written) in [
        (Locale::En, "2026-03-01", "1 March 2026"),
        (Locale::Nl, "2026-03-01", "1 maart 2026"),
        (Locale::Nl, "2027-12-31", "31 december 2027"),
        (Locale::Nl, "2028-08-09", "9 augustus 2028"),
    ] {
        assert_eq!(date(locale, day).unwrap(), written);
    }
    assert!(date(Locale::En, "soon").is_err());
}

#[test]
fn a_file_replaces_the_template_of_its_name_alone() {
    let folder = Folder::with(&[
        ("nl/order_failed.txt", "Mislukt: {{ order.reference }}"),
        ("label.html", "{% macro label(word, status) %}<b>{{ word }}</b>{% endmacro %}"),
        (".git/config", "not a template"),
        ("nl/.order_failed.txt.swp", "not a template"),
    ]);
    let templates = folder.load().unwrap();
    let built_in = Templates::load(None).unwrap();
    let name = TemplateName::OrderFailed;
    let context = &samples(name)[0];
    let dutch = templates.render(name, Locale::Nl, context).unwrap();
    assert_eq!(dutch.text, "Mislukt: SHOP-1001\n");
    assert_eq!(dutch.subject, built_in.render(name, Locale::Nl, context).unwrap().subject);
    assert!(dutch.html.contains("<b>Niet geleverd</b>"));
    let english = templates.render(name, Locale::En, context).unwrap();
    assert_eq!(english.text, built_in.render(name, Locale::En, context).unwrap().text);
}

#[test]
fn a_wrong_file_is_refused_at_load_by_name_and_line() {
    for (name, source, expected) in [
        (
            "nl/order_failed.txt",
            "Beste klant,\n\n{% if lines %}\n{{ order.reference }\n",
            "nl/order_failed.txt, line 4: syntax error",
        ),
        (
            "en/domain_expired.html",
            "<p>\n{{ domain.name }}</p>",
            "en/domain_expired.html, line 2: undefined value",
        ),
        ("layout.html", "\n{{ sender }}", "layout.html, line 2: undefined value"),
        (
            "en/ops_audit.txt",
            "{% include 'x.txt' %}",
            "en/ops_audit.txt, line 1: template not found",
        ),
        ("nl/words.txt", "{{ 1/0 }}", "nl/words.txt, line 1:"),
    ] {
        let error = rejected(name, source);
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn an_unknown_file_is_refused_with_the_names_there_are() {
    let error = rejected("nl/order_fialed.txt", "");
    assert!(error.starts_with("nl/order_fialed.txt replaces no template"), "{error}");
    assert!(error.contains("order_failed.txt, order_failed.html"), "{error}");
    let error = rejected("de/order_failed.txt", "");
    assert!(error.starts_with("de replaces no template"), "{error}");
    assert!(error.ends_with("layout.html, label.html, lines.html, lines.txt, en, nl"), "{error}");
}

#[test]
fn what_cannot_be_read_is_said_so() {
    assert!(matches!(
        Templates::load(Some(Path::new("/nonexistent"))),
        Err(TemplateError::Read { .. })
    ));
    let folder = Folder::with(&[]);
    fs::create_dir_all(folder.0.join("en/order_failed.txt")).unwrap();
    assert!(matches!(folder.load(), Err(TemplateError::Read { .. })));
    let folder = Folder::with(&[("nl/x", "")]);
    fs::write(folder.0.join("layout.html"), [0xff, 0xfe]).unwrap();
    assert!(matches!(folder.load(), Err(TemplateError::Read { .. })));
    let folder = Folder::with(&[("layout.html", &"x".repeat(PART_BYTES_MAX + 1))]);
    assert!(matches!(folder.load(), Err(TemplateError::TooLarge { .. })));
    let many: Vec<String> = (0..=1000).map(|n| format!("{n}")).collect();
    let files: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    assert!(Folder::with(&files).load().unwrap_err().to_string().contains("can't read"));
}

#[test]
fn a_template_without_end_is_ended() {
    let error = rejected(
        "en/order_failed.html",
        "{% for i in range(100000) %}{{ sender_name }}{{ sender_name }}{% endfor %}",
    );
    assert_eq!(error, "en/order_failed.html: larger than 262144 bytes");
    let endless = "{% for i in range(100000) %}{% for j in range(100000) %}\
                   {% endfor %}{% endfor %}";
    let error = rejected("en/order_failed.html", endless);
    assert!(error.starts_with("en/order_failed.html, line 1: engine ran out of fuel"), "{error}");
}

#[test]
fn an_error_while_rendering_quotes_nobody() {
    let folder = Folder::with(&[(
        "en/order_failed.txt",
        "{{ customer.first_name|int if order.reference != 'SHOP-1001' else 'fine' }}",
    )]);
    let templates = folder.load().unwrap();
    let mut context = samples(TemplateName::OrderFailed).remove(0);
    context.order.as_mut().unwrap().reference = "SHOP-2".to_owned();
    let error = templates.render(TemplateName::OrderFailed, Locale::En, &context).unwrap_err();
    assert!(matches!(&error, TemplateError::Invalid { line: 1, .. }), "{error}");
    let shown = format!("{error} {error:?} {context:?} {:?}", context.customer);
    assert!(!shown.contains("Bob") && !shown.contains("Brown"), "{shown}");
}
