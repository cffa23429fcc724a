//! The bar of an allowance: 40 cells that say how much is taken, what is in flight, and where the crossing is. It must
//! not know whose allowance it is.

use super::terminal::{Role, Terminal};

/// Cells of a bar.
pub(crate) const CELLS: usize = 40;

/// What a bar shows, in tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bar {
    /// What there is.
    pub(crate) allowance: u64,
    /// What is taken of it.
    pub(crate) taken: u64,
    /// What calls in flight may take; `None`: nothing is in flight.
    pub(crate) in_flight: Option<u64>,
    /// Nothing is left for any call.
    pub(crate) spent: bool,
    /// A call crossed the allowance.
    pub(crate) crossed: bool,
}

impl Bar {
    /// Its cells: rounded down, full only when spent, empty only at zero; the crossing is a shape of its own.
    pub(crate) fn drawn(&self, terminal: &Terminal) -> String {
        let crossing = usize::from(self.crossed && self.spent);
        let taken = self.taken_cells() - crossing;
        let in_flight = self.in_flight_cells(CELLS - taken - crossing);
        let rest = CELLS - taken - crossing - in_flight;
        let mut bar = paint(terminal, Role::Free, terminal.glyph("█", "#"), taken);
        bar.push_str(&terminal.glyph("◆", "X").repeat(crossing));
        bar.push_str(&paint(
            terminal,
            Role::Free,
            terminal.glyph("▒", "~"),
            in_flight,
        ));
        bar.push_str(&paint(terminal, Role::Dim, terminal.glyph("░", "."), rest));
        bar
    }

    fn taken_cells(&self) -> usize {
        match self.taken {
            _ if self.spent => CELLS,
            0 => 0,
            taken => cells(taken, self.allowance).clamp(1, CELLS - 1),
        }
    }

    fn in_flight_cells(&self, room: usize) -> usize {
        self.in_flight
            .map_or(0, |tokens| cells(tokens, self.allowance).max(1))
            .min(room)
    }
}

fn cells(part: u64, whole: u64) -> usize {
    let cells = u128::from(part) * CELLS as u128 / u128::from(whole.max(1));
    usize::try_from(cells).unwrap_or(CELLS).min(CELLS)
}

fn paint(terminal: &Terminal, role: Role, cell: &str, times: usize) -> String {
    match times {
        0 => String::new(),
        times => terminal.paint(role, &cell.repeat(times)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::terminal::Colour;
    use crate::config::Environment;

    const EMPTY: Bar = Bar {
        allowance: 1_000_000,
        taken: 0,
        in_flight: None,
        spent: false,
        crossed: false,
    };

    fn drawn(bar: Bar) -> String {
        bar.drawn(&Terminal::from_facts(
            true,
            None,
            Colour::Never,
            &Environment::default(),
        ))
    }

    #[test]
    fn it_rounds_down_is_full_only_when_spent_and_empty_only_at_zero() {
        assert_eq!(drawn(EMPTY), ".".repeat(40));
        let taken = |taken| drawn(Bar { taken, ..EMPTY });
        assert_eq!(taken(1), format!("#{}", ".".repeat(39)));
        assert_eq!(taken(49_999), taken(1));
        assert_eq!(taken(50_000), format!("##{}", ".".repeat(38)));
        assert_eq!(taken(999_999), format!("{}.", "#".repeat(39)));
        let spent = Bar {
            taken: 1_000_000,
            spent: true,
            ..EMPTY
        };
        assert_eq!(drawn(spent), "#".repeat(40));
    }

    #[test]
    fn the_crossing_is_a_shape_at_its_end() {
        let crossed = Bar {
            taken: 975_000,
            spent: true,
            crossed: true,
            ..EMPTY
        };
        assert_eq!(drawn(crossed), format!("{}X", "#".repeat(39)));
        let fits = Bar {
            spent: false,
            ..crossed
        };
        assert_eq!(drawn(fits), format!("{}.", "#".repeat(39)));
    }

    #[test]
    fn what_is_in_flight_has_a_cell_if_there_is_room() {
        let with = |taken, tokens| {
            drawn(Bar {
                taken,
                in_flight: Some(tokens),
                ..EMPTY
            })
        };
        assert_eq!(with(0, 0), format!("~{}", ".".repeat(39)));
        assert_eq!(
            with(500_000, 100_000),
            format!("{}~~~~{}", "#".repeat(20), ".".repeat(16))
        );
        assert_eq!(with(990_000, u64::MAX), format!("{}~", "#".repeat(39)));
        let nothing_to_have = Bar {
            allowance: 0,
            ..EMPTY
        };
        assert_eq!(drawn(nothing_to_have), ".".repeat(40));
    }
}
