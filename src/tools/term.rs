//! What the tools draw on a terminal: numbers for people, aligned tables, colour only where it is wanted.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

/// `1234567` as `1,234,567`.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A cell of a table, and whether it should worry the reader.
#[derive(Clone, Debug)]
pub struct Cell {
    text: String,
    mood: Mood,
}

/// How a cell looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// As it is.
    Plain,
    /// Faint: a heading, or a zero that is as it should be.
    Faint,
    /// Something is well.
    Good,
    /// Something is wrong.
    Bad,
}

impl Cell {
    /// A cell that looks as it is.
    pub fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), mood: Mood::Plain }
    }

    /// A cell with a mood.
    pub fn of(text: impl Into<String>, mood: Mood) -> Self {
        Self { text: text.into(), mood }
    }

    /// A count that should be zero.
    pub fn worry(n: u64) -> Self {
        Self::of(grouped(n), if n == 0 { Mood::Faint } else { Mood::Bad })
    }
}

/// A terminal, or whatever stdout is instead.
#[derive(Debug)]
pub struct Screen {
    live: bool,
    colour: bool,
    silent: bool,
    /// Lines that the next drawing replaces.
    drawn: usize,
}

impl Screen {
    /// Stdout: drawn in place on a terminal, in colour unless `NO_COLOR` is set (<https://no-color.org>).
    pub fn stdout() -> Self {
        let live = io::stdout().is_terminal() && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let colour = live && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { live, colour, silent: false, drawn: 0 }
    }

    /// Nothing at all: for tools that end with one JSON document.
    pub fn silent() -> Self {
        Self { live: false, colour: false, silent: true, drawn: 0 }
    }

    /// How long a drawing should stand before the next: in place often, line by line once a second.
    pub fn pause(&self) -> Duration {
        Duration::from_millis(if self.live { 100 } else { 1000 })
    }

    /// Whether drawings replace each other.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// Shows `lines` in place of those shown last. A reader that went away is no error of the tool.
    pub fn draw(&mut self, lines: &[String]) {
        if self.silent {
            return;
        }
        let mut text = String::new();
        if self.live && self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A\x1b[J", self.drawn));
        }
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        self.drawn = lines.len();
        let mut stdout = io::stdout().lock();
        let _ = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    }

    /// Shows how it goes: `lines` in place on a terminal, else `plain` as one line more.
    pub fn progress(&mut self, lines: &[String], plain: &str) {
        if self.live {
            self.draw(lines);
        } else {
            self.draw(&[plain.to_owned()]);
        }
    }

    /// Leaves what was drawn standing: the next drawing goes below.
    pub fn keep(&mut self) {
        self.drawn = 0;
    }

    /// `text` in its mood, if there is colour.
    pub fn paint(&self, text: &str, mood: Mood) -> String {
        let code = match mood {
            _ if !self.colour => return text.to_owned(),
            Mood::Plain => return text.to_owned(),
            Mood::Faint => "2",
            Mood::Good => "32",
            Mood::Bad => "1;31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// `rows` below `heads`, each column as wide as it needs; the first to the left, the others to the right.
    pub fn table(&self, heads: &[&str], rows: &[Vec<Cell>]) -> Vec<String> {
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.text.chars().count());
            cells.chain(heads.get(column).map(|head| head.chars().count())).max().unwrap_or(0)
        };
        // A column keeps a least width, so that a table that is drawn again does not jump.
        let widths: Vec<_> = (0..heads.len()).map(|i| width(i).max(8)).collect();
        let line = |cells: Vec<(&str, Mood)>| {
            let padded = cells.into_iter().zip(&widths).enumerate().map(|(i, ((text, mood), width))| {
                let padded = if i == 0 { format!("{text:<width$}") } else { format!("{text:>width$}") };
                self.paint(&padded, mood)
            });
            format!("  {}", padded.collect::<Vec<_>>().join("  ")).trim_end().to_owned()
        };
        let mut lines = vec![line(heads.iter().map(|head| (*head, Mood::Faint)).collect())];
        lines.extend(rows.iter().map(|row| line(row.iter().map(|cell| (cell.text.as_str(), cell.mood)).collect())));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped() {
        let texts = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(texts, ["0", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn columns_are_aligned() {
        let screen = Screen { live: false, colour: false, silent: false, drawn: 0 };
        let rows = [vec![Cell::plain("a"), Cell::worry(1_000_000)], vec![Cell::plain("longer name"), Cell::worry(0)]];
        let lines = screen.table(&["target", "sent"], &rows);
        assert_eq!(lines, ["  target            sent", "  a            1,000,000", "  longer name          0"]);
    }
}
