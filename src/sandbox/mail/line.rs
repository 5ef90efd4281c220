//! Lines off the wire: ended by CR LF and nothing else, and never longer than they may be.

use std::{io, time::Duration};

use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// A line that has no end is read up to here in search of it.
const DISCARDED_MAX: usize = 1024 * 1024;

/// What came.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Line {
    /// A line, without its CR LF.
    Whole(Vec<u8>),
    /// A line that is too long. It has been read to its end.
    TooLong,
    /// A lone LF or CR. Servers that disagree on it are what SMTP smuggling lives on, so it ends the session.
    Bare,
    /// The client has gone.
    Gone,
    /// The client has been silent for too long.
    Idle,
}

/// Reads a line of at most `max` bytes, CR LF included.
pub(super) async fn read_line<R: AsyncBufRead + Unpin>(
    reader: &mut R,
    max: usize,
    idle: Duration,
) -> io::Result<Line> {
    let mut line = Vec::new();
    let mut discarded = 0_usize;
    loop {
        let Ok(filled) = tokio::time::timeout(idle, reader.fill_buf()).await else {
            return Ok(Line::Idle);
        };
        let chunk = filled?;
        if chunk.is_empty() {
            return Ok(Line::Gone);
        }
        let end = chunk.iter().position(|byte| *byte == b'\n').map(|at| at.saturating_add(1));
        let part = end.and_then(|end| chunk.get(..end)).unwrap_or(chunk);
        let used = part.len();
        if line.len().saturating_add(used) <= max {
            line.extend_from_slice(part);
        } else {
            discarded = discarded.saturating_add(used);
        }
        reader.consume(used);
        if end.is_some() {
            return Ok(if discarded > 0 { Line::TooLong } else { checked(line) });
        }
        if discarded > DISCARDED_MAX {
            return Ok(Line::Gone);
        }
    }
}

fn checked(mut line: Vec<u8>) -> Line {
    if !line.ends_with(b"\r\n") {
        return Line::Bare;
    }
    line.truncate(line.len().saturating_sub(2));
    if line.contains(&b'\r') { Line::Bare } else { Line::Whole(line) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDLE: Duration = Duration::from_secs(5);

    async fn lines(mut input: &[u8], max: usize) -> Vec<Line> {
        let mut read = Vec::new();
        while !matches!(read.last(), Some(Line::Gone)) {
            read.push(read_line(&mut input, max, IDLE).await.unwrap());
        }
        read
    }

    fn whole(text: &str) -> Line {
        Line::Whole(text.as_bytes().to_vec())
    }

    #[tokio::test]
    async fn lines_end_with_cr_lf_alone() {
        assert_eq!(
            lines(b"NOOP\r\n\r\na\nb\r\nc\rd\r\nrest", 100).await,
            [whole("NOOP"), whole(""), Line::Bare, whole("b"), Line::Bare, Line::Gone]
        );
    }

    #[tokio::test]
    async fn a_line_may_be_just_as_long_as_it_may() {
        assert_eq!(lines(b"12345678\r\n", 10).await, [whole("12345678"), Line::Gone]);
        assert_eq!(
            lines(b"123456789\r\nNOOP\r\n", 10).await,
            [Line::TooLong, whole("NOOP"), Line::Gone]
        );
    }

    #[tokio::test]
    async fn the_search_for_an_end_ends() {
        let endless = vec![b'x'; DISCARDED_MAX * 2];
        let mut reader = tokio::io::BufReader::new(endless.as_slice());
        assert_eq!(read_line(&mut reader, 10, IDLE).await.unwrap(), Line::Gone);
        assert!(!reader.into_inner().is_empty(), "the rest was not read");
    }

    #[tokio::test]
    async fn silence_is_bounded() {
        let (_silent, stream) = tokio::io::duplex(64);
        let mut reader = tokio::io::BufReader::new(stream);
        let soon = Duration::from_millis(10);
        assert_eq!(read_line(&mut reader, 10, soon).await.unwrap(), Line::Idle);
    }
}
