//! What is shown again and again: on a terminal in place, on one that takes no commands a block for each change, in a
//! pipe a line. It must not know what is shown.

use std::io::Write;
use std::ops::ControlFlow;

use super::terminal::Terminal;

/// Where it is shown.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: Terminal,
    /// Lines that stand there now.
    standing: usize,
    /// They stand where another size of the window put them.
    is_stale: bool,
    /// What a pipe was told last.
    told: Vec<String>,
}

impl Screen {
    pub(crate) fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            standing: 0,
            is_stale: false,
            told: Vec::new(),
        }
    }

    /// Where it is shown as it is now: what stands there is measured and, where the window was resized, wiped with the next
    /// frame, since a terminal breaks lines anew in a way of its own.
    pub(crate) fn measured(&mut self) -> Terminal {
        self.fits(self.terminal.again());
        self.terminal
    }

    fn fits(&mut self, terminal: Terminal) {
        self.is_stale |= self.standing > 0 && terminal != self.terminal;
        self.terminal = terminal;
    }

    /// Shows it in place of what stood there; a pipe gets the lines that changed, a terminal without commands all of
    /// them once one did.
    pub(crate) fn show(&mut self, text: &str) -> ControlFlow<()> {
        let out = match (self.terminal.is_terminal, self.terminal.moves) {
            (true, true) => self.in_place(text),
            (true, false) => self.again(text),
            (false, _) => self.changed(text),
        };
        if out.is_empty() {
            return ControlFlow::Continue(());
        }
        put(&out)
    }

    /// Moves up over what stands there and writes over it, line by line, so that nothing flickers. A frame higher than
    /// the terminal would scroll: it is cut.
    fn in_place(&mut self, text: &str) -> String {
        let most = self
            .terminal
            .height
            .map_or(usize::MAX, |height| height.saturating_sub(1));
        let mut out = match self.standing {
            _ if std::mem::take(&mut self.is_stale) => "\x1b[H\x1b[2J".to_owned(),
            0 => String::new(),
            lines => format!("\x1b[{lines}A\r"),
        };
        self.standing = 0;
        for line in text.lines().take(most) {
            out.push_str(line);
            out.push_str("\x1b[K\n");
            self.standing += 1;
        }
        out.push_str("\x1b[J");
        out
    }

    fn again(&mut self, text: &str) -> String {
        let is_first = self.told.is_empty();
        if self.changed(text).is_empty() {
            return String::new();
        }
        let between = if is_first { "" } else { "\n" };
        format!("{between}{text}")
    }

    fn changed(&mut self, text: &str) -> String {
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        let new = lines.iter().filter(|line| !self.told.contains(line));
        let out = new.fold(String::new(), |out, line| out + line + "\n");
        self.told = lines;
        out
    }
}

/// Writes at once; a reader that left ends the show.
pub(crate) fn put(text: &str) -> ControlFlow<()> {
    let mut output = std::io::stdout().lock();
    match output
        .write_all(text.as_bytes())
        .and_then(|()| output.flush())
    {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::config::Environment;

    fn screen(is_terminal: bool, height: Option<usize>) -> Screen {
        let terminal =
            Terminal::from_facts(is_terminal, None, Colour::Never, &Environment::default());
        Screen::new(Terminal { height, ..terminal })
    }

    #[test]
    fn a_terminal_is_written_over_and_never_scrolls() {
        let mut screen = screen(true, Some(4));
        assert_eq!(screen.in_place("a\nb\n"), "a\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(
            screen.in_place("c\nd\ne\nf\n"),
            "\x1b[2A\rc\x1b[K\nd\x1b[K\ne\x1b[K\n\x1b[J"
        );
        assert_eq!(screen.in_place("g\n"), "\x1b[3A\rg\x1b[K\n\x1b[J");
        let narrower = Terminal {
            width: 40,
            ..screen.terminal
        };
        screen.fits(narrower);
        assert_eq!(screen.in_place("h\n"), "\x1b[H\x1b[2Jh\x1b[K\n\x1b[J");
        screen.fits(narrower);
        assert_eq!(screen.in_place("i\n"), "\x1b[1A\ri\x1b[K\n\x1b[J");
    }

    #[test]
    fn a_terminal_without_commands_gets_a_block_for_each_change() {
        let mut screen = screen(true, Some(4));
        screen.terminal.moves = false;
        assert_eq!(screen.again("a\nb\n"), "a\nb\n");
        assert_eq!(screen.again("a\nb\n"), "");
        assert_eq!(screen.again("a\nc\n"), "\na\nc\n");
    }

    #[test]
    fn a_pipe_is_told_what_changed() {
        let mut screen = screen(false, None);
        assert_eq!(
            screen.changed("large\t1\nsmall\t2\n"),
            "large\t1\nsmall\t2\n"
        );
        assert_eq!(screen.changed("large\t1\nsmall\t2\n"), "");
        assert_eq!(screen.changed("large\t1\nsmall\t3\n"), "small\t3\n");
    }
}
