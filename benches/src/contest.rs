//! Those who are compared in one table, and the figures of their rounds. It must not know what the figures are.

use std::path::PathBuf;
use std::{fs, io};

use crate::Failure;
use crate::sides::{Process, Setting, Side};
use crate::spread::Spread;

/// The sides of one table, started, with what each round said of them.
pub struct Contest<F> {
    /// Each with its figures, a round each.
    pub sides: Vec<(Side, Process, Vec<F>)>,
    _upstream: Process,
}

impl<F> Contest<F> {
    /// Starts all, in front of one upstream.
    ///
    /// # Errors
    /// When one does not start.
    pub fn start(sides: &[Side], setting: Setting) -> Result<Self, Failure> {
        let folder = folder()?;
        let upstream = setting.upstream(&folder)?;
        let start = |&side: &Side| {
            let process = side.start(&upstream, setting, &folder)?;
            Ok((side, process, Vec::new()))
        };
        Ok(Self {
            sides: sides.iter().map(start).collect::<Result<_, Failure>>()?,
            _upstream: upstream,
        })
    }

    /// Measures each side in each round; who goes first changes from round to round.
    ///
    /// # Errors
    /// Those of the measurement.
    pub async fn run(
        &mut self,
        rounds: usize,
        measure: impl AsyncFn(&Process) -> Result<F, Failure>,
    ) -> Result<(), Failure> {
        let count = self.sides.len();
        for round in 0..rounds {
            for turn in 0..count {
                let (_, process, figures) = &mut self.sides[(round + turn) % count];
                figures.push(measure(process).await?);
            }
        }
        Ok(())
    }

    /// One side's figure of each round.
    pub fn of(&self, side: Side, pick: impl Fn(&F) -> f64) -> Vec<f64> {
        let found = self.sides.iter().find(|(one, ..)| *one == side);
        found.map_or_else(Vec::new, |(.., figures)| figures.iter().map(pick).collect())
    }

    /// The middle of those.
    pub fn median(&self, side: Side, pick: impl Fn(&F) -> f64) -> f64 {
        Spread::of(self.of(side, pick)).median()
    }

    /// One side's figure for each of another's, round by round.
    pub fn ratio(&self, side: Side, to: Side, pick: impl Fn(&F) -> f64) -> Spread {
        let (ours, theirs) = (self.of(side, &pick), self.of(to, &pick));
        Spread::of(ours.iter().zip(&theirs).map(|(ours, theirs)| ours / theirs))
    }
}

/// An empty folder for what those compared write.
fn folder() -> Result<PathBuf, Failure> {
    let program = std::env::current_exe()?;
    let target = program.ancestors().nth(2).ok_or("no target folder")?;
    let folder = target.join("side-by-side");
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => fs::create_dir_all(&folder)?,
    }
    Ok(folder)
}
