//! SMTP commands, read strictly (RFC 5321, 4.1.1, with the extensions that the server offers).

/// A command.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Command {
    Ehlo,
    Helo,
    Mail(Sender),
    Rcpt(String),
    Data,
    Rset,
    Noop,
    Quit,
    Vrfy,
}

/// What MAIL FROM announces.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Sender {
    /// Empty for a bounce.
    pub(super) address: String,
    /// BODY=8BITMIME
    pub(super) eight_bit: bool,
    /// SMTPUTF8
    pub(super) utf8: bool,
    /// SIZE=
    pub(super) size: Option<usize>,
}

/// A line that is no command: the answer to it.
pub(super) type Wrong = (u16, &'static str);

const SYNTAX: Wrong = (501, "5.5.4 syntax error in the parameters");
const PARAMETER: Wrong = (555, "5.5.4 unknown parameter");
const ADDRESS_LENGTH_MAX: usize = 320;

/// Reads a line, without its end.
pub(super) fn read(line: &[u8]) -> Result<Command, Wrong> {
    let line = str::from_utf8(line).map_err(|_| (500, "5.5.2 a command is UTF-8"))?;
    let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
    let rest = rest.trim();
    let bare = |command| if rest.is_empty() { Ok(command) } else { Err(SYNTAX) };
    match verb.to_ascii_uppercase().as_str() {
        "EHLO" if !rest.is_empty() => Ok(Command::Ehlo),
        "HELO" if !rest.is_empty() => Ok(Command::Helo),
        "EHLO" | "HELO" => Err((501, "5.5.4 say who you are")),
        "MAIL" => mail(rest),
        "RCPT" => rcpt(rest),
        "DATA" => bare(Command::Data),
        "RSET" => bare(Command::Rset),
        "QUIT" => bare(Command::Quit),
        "NOOP" => Ok(Command::Noop),
        "VRFY" => Ok(Command::Vrfy),
        "AUTH" | "STARTTLS" | "BDAT" | "EXPN" | "HELP" | "ETRN" => {
            Err((502, "5.5.1 not offered here"))
        }
        _ => Err((500, "5.5.1 unknown command")),
    }
}

fn mail(rest: &str) -> Result<Command, Wrong> {
    let (address, parameters) = path(rest, "FROM:")?;
    let mut sender = Sender { address: address.to_owned(), ..Sender::default() };
    for parameter in parameters.split_whitespace() {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match (name.to_ascii_uppercase().as_str(), value) {
            ("BODY", kind) if kind.eq_ignore_ascii_case("8BITMIME") => sender.eight_bit = true,
            ("BODY", kind) if kind.eq_ignore_ascii_case("7BIT") => sender.eight_bit = false,
            ("SMTPUTF8", "") => sender.utf8 = true,
            ("SIZE", size) => sender.size = Some(size.parse().map_err(|_| SYNTAX)?),
            _ => return Err(PARAMETER),
        }
    }
    if !address.is_empty() {
        check(address)?;
    }
    if !address.is_ascii() && !sender.utf8 {
        return Err(NEEDS_UTF8);
    }
    Ok(Command::Mail(sender))
}

/// The answer to an address beyond ASCII in a mail that was not announced so.
pub(super) const NEEDS_UTF8: Wrong = (553, "5.6.7 such an address needs SMTPUTF8");

fn rcpt(rest: &str) -> Result<Command, Wrong> {
    let (address, parameters) = path(rest, "TO:")?;
    if !parameters.trim().is_empty() {
        return Err(PARAMETER);
    }
    check(address)?;
    Ok(Command::Rcpt(address.to_owned()))
}

/// The address between `FROM:<` and `>`, and what follows.
fn path<'a>(rest: &'a str, keyword: &str) -> Result<(&'a str, &'a str), Wrong> {
    let head = rest.get(..keyword.len()).ok_or(SYNTAX)?;
    if !head.eq_ignore_ascii_case(keyword) {
        return Err(SYNTAX);
    }
    let path = rest.get(keyword.len()..).and_then(|path| path.strip_prefix('<')).ok_or(SYNTAX)?;
    // A quoted local part may hold a `>`: the last one before white space ends the path.
    let end = path.find("> ").or_else(|| path.strip_suffix('>').map(str::len)).ok_or(SYNTAX)?;
    let (address, parameters) = path.split_at(end);
    Ok((address, parameters.strip_prefix('>').unwrap_or_default()))
}

fn check(address: &str) -> Result<(), Wrong> {
    let sound = address.len() <= ADDRESS_LENGTH_MAX
        && !address.contains(|c: char| c.is_control() || c.is_whitespace() || c == '<' || c == '>')
        && address
            .rsplit_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    if sound { Ok(()) } else { Err((553, "5.1.3 that is no address")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_in_any_case() {
        for (line, command) in [
            ("EHLO shop.example.com", Command::Ehlo),
            ("helo shop.example.com", Command::Helo),
            ("data", Command::Data),
            ("RSET", Command::Rset),
            ("NOOP please", Command::Noop),
            ("quit", Command::Quit),
            ("VRFY bob", Command::Vrfy),
            ("RCPT TO:<bob@example.com>", Command::Rcpt("bob@example.com".into())),
            ("rcpt to:<\"b.b\"@example.com>", Command::Rcpt("\"b.b\"@example.com".into())),
            ("MAIL FROM:<>", Command::Mail(Sender::default())),
            (
                "Mail From:<böb@example.com> body=8bitmime SMTPUTF8 SIZE=12",
                Command::Mail(Sender {
                    address: "böb@example.com".into(),
                    eight_bit: true,
                    utf8: true,
                    size: Some(12),
                }),
            ),
        ] {
            assert_eq!(read(line.as_bytes()), Ok(command), "{line}");
        }
    }

    #[test]
    fn what_is_wrong_is_answered_by_its_code() {
        for (line, code) in [
            ("", 500),
            ("GET / HTTP/1.1", 500),
            ("EHLO", 501),
            ("DATA now", 501),
            ("STARTTLS", 502),
            ("AUTH PLAIN", 502),
            ("MAIL", 501),
            ("MAIL FROM: <bob@example.com>", 501),
            ("MAIL FROM:bob@example.com", 501),
            ("MAIL FROM:<bob@example.com", 501),
            ("MAIL TO:<bob@example.com>", 501),
            ("MAIL FROM:<bob@example.com> RET=HDRS", 555),
            ("MAIL FROM:<bob@example.com> BODY=BINARYMIME", 555),
            ("MAIL FROM:<bob@example.com> SIZE=big", 501),
            ("MAIL FROM:<bob>", 553),
            ("MAIL FROM:<böb@example.com>", 553),
            ("RCPT TO:<>", 553),
            ("RCPT TO:<@example.com>", 553),
            ("RCPT TO:<bob@>", 553),
            ("RCPT TO:<a b@example.com>", 553),
            ("RCPT TO:<bob@example.com> NOTIFY=NEVER", 555),
            ("RCPTé", 500),
        ] {
            assert_eq!(read(line.as_bytes()).unwrap_err().0, code, "{line}");
        }
        assert_eq!(read(b"NOOP \xff").unwrap_err().0, 500);
    }
}
