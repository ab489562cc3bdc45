//! Messages as they come: one a line, bounded.

use std::io;

use tokio::io::{AsyncBufRead, AsyncBufReadExt as _};

/// The longest line that is read, in bytes. The door takes less; beyond this not even the message's id is looked for.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;

/// What the input brought.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole(Vec<u8>),
    /// A line that was not kept.
    TooLong,
    /// Nothing more will come. What came without a line's end is no message.
    End,
}

/// Reads one line. Not to be called again where it was dropped in the middle of one.
pub(super) async fn read(input: &mut (impl AsyncBufRead + Unpin)) -> io::Result<Line> {
    let (mut line, mut fits) = (Vec::new(), true);
    loop {
        let piece = input.fill_buf().await?;
        if piece.is_empty() {
            return Ok(Line::End);
        }
        let end = piece.iter().position(|byte| *byte == b'\n');
        let text = end.and_then(|end| piece.get(..end)).unwrap_or(piece);
        let taken = text.len() + usize::from(end.is_some());
        fits &= line.len() + text.len() <= LONGEST;
        if fits {
            line.extend_from_slice(text);
        } else {
            line = Vec::new();
        }
        input.consume(taken);
        if end.is_some() {
            return Ok(if fits {
                Line::Whole(line)
            } else {
                Line::TooLong
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::BufReader;

    use super::*;

    #[tokio::test]
    async fn lines_are_whole_or_said_to_be_too_long() {
        let mut text = b"one\n\ntwo\r\n".to_vec();
        text.resize(text.len() + LONGEST + 1, b'x');
        text.extend_from_slice(b"\nthree\nhalf");
        let mut input = BufReader::with_capacity(1_000, &text[..]);
        let mut found = Vec::new();
        loop {
            match read(&mut input).await.unwrap() {
                Line::End => break,
                line => found.push(line),
            }
        }
        let whole = |text: &str| Line::Whole(text.into());
        let all = [
            whole("one"),
            whole(""),
            whole("two\r"),
            Line::TooLong,
            whole("three"),
        ];
        assert_eq!(found, all);
    }
}
