//! Content codings undone on a bounded copy: gzip, deflate (zlib or raw), brotli and zstd,
//! stacked as a `content-encoding` header may stack them. It must not know what the bytes mean.

use std::io::{self, Write};

use flate2::write::GzDecoder;
use flate2::{FlushDecompress, Status};
use thiserror::Error;

/// Most codings one body may carry on top of each other.
pub const MOST_CODINGS: usize = 4;
/// Most bytes one body may decode to: a decoded copy is only ever read, never sent.
pub const MOST_DECODED_BYTES: u64 = 64 * 1024 * 1024;
/// Most decoded bytes for one encoded byte, beyond a first MiB.
pub const MOST_DECODED_RATIO: u64 = 100;
/// What a body may decode to before its ratio is looked at: short bodies of repeated text
/// compress better than 1:100 and are no attack.
const FREE_DECODED_BYTES: u64 = 1024 * 1024;
/// What the beginning of a gzip member counts as, in decoded bytes: setting up to decode costs as much as decoding them,
/// and a member of nothing is 20 bytes.
const GZIP_MEMBER_BYTES: usize = 16 * 1024;
/// Largest zstd window taken, as a power of two: 8 MiB, which HTTP's zstd coding sets as its
/// limit.
const ZSTD_WINDOW_LOG: u32 = 23;
/// Size of the brotli decoder's own output buffer, in bytes.
const BROTLI_BUFFER_BYTES: usize = 4096;
/// Size of the inflater's output buffer, in bytes.
const INFLATE_BUFFER_BYTES: usize = 4096;

/// One content coding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Coding {
    /// The bytes as they are.
    Identity,
    /// RFC 1952, any number of members.
    Gzip,
    /// The zlib format, or raw deflate as some senders take the name.
    Deflate,
    /// RFC 7932.
    Brotli,
    /// RFC 8878, any number of frames.
    Zstd,
}

impl Coding {
    /// The coding of one name, in any case; `None` for one not decoded here.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        const KNOWN: [(&str, Coding); 6] = [
            ("gzip", Coding::Gzip),
            ("x-gzip", Coding::Gzip),
            ("deflate", Coding::Deflate),
            ("br", Coding::Brotli),
            ("zstd", Coding::Zstd),
            ("identity", Coding::Identity),
        ];
        KNOWN
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|&(_, coding)| coding)
    }

    /// The codings a message's `content-encoding` values name, in the order they were applied,
    /// without `identity`: an empty list is an unencoded body. `None` if one of them is unknown
    /// or there are more than [`MOST_CODINGS`].
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> Option<Vec<Self>> {
        let mut codings = Vec::new();
        for name in values.into_iter().flat_map(|value| value.split(',')) {
            let name = name.trim_matches([' ', '\t']);
            if name.is_empty() {
                continue;
            }
            match Self::named(name)? {
                Self::Identity => {}
                _ if codings.len() == MOST_CODINGS => return None,
                coding => codings.push(coding),
            }
        }
        Some(codings)
    }
}

/// Why a copy could not be decoded.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// The bytes are not what the coding's name says.
    #[error("the body is not what its content-encoding says")]
    Broken(#[source] io::Error),
    /// The body ends in the middle of its coding.
    #[error("the encoded body ends early")]
    Truncated,
    /// The decoded copy would be larger than the budget allows.
    #[error("the decoded body is larger than its budget")]
    OverBudget,
}

/// Undoes one coding, pushed at any cut. After an error it takes nothing more.
pub struct Decoder {
    engine: Engine,
    most_bytes: u64,
    /// What it may decode to before its ratio is looked at, in bytes.
    free_bytes: u64,
    taken: u64,
    given: u64,
}

impl Decoder {
    /// A decoder whose output is at most `most_bytes` and at most [`MOST_DECODED_RATIO`] times
    /// its input (beyond a first MiB).
    #[must_use]
    pub fn new(coding: Coding, most_bytes: u64) -> Self {
        Self {
            engine: Engine::new(coding),
            most_bytes,
            free_bytes: FREE_DECODED_BYTES,
            taken: 0,
            given: 0,
        }
    }

    /// A decoder without a budget, for bytes that are passed on and not kept. One byte of input decodes to 16 MiB at
    /// the very most (a whole meta-block of brotli): whoever pushes byte by byte has the memory in hand.
    #[must_use]
    pub fn without_budget(coding: Coding) -> Self {
        Self {
            free_bytes: u64::MAX,
            ..Self::new(coding, u64::MAX)
        }
    }

    /// Takes the next encoded bytes and appends what they decode to.
    ///
    /// # Errors
    /// [`DecodeError`]; `out` then holds what was decoded before the fault.
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.taken = self.taken.saturating_add(bytes.len() as u64);
        self.step(out, |engine| engine.write(bytes))
    }

    /// Says that the body ended here.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if the coding expected more.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        self.step(out, Engine::finish)
    }

    /// Lends `out` to the engine's sink for one step, with the room the budget leaves now.
    fn step(
        &mut self,
        out: &mut Vec<u8>,
        work: impl FnOnce(&mut Engine) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        let by_ratio = self
            .free_bytes
            .saturating_add(self.taken.saturating_mul(MOST_DECODED_RATIO));
        let room = self.most_bytes.min(by_ratio).saturating_sub(self.given);
        let before = out.len();
        let sink = self.engine.sink();
        sink.room = usize::try_from(room).unwrap_or(usize::MAX);
        std::mem::swap(&mut sink.out, out);
        let worked = work(&mut self.engine);
        let sink = self.engine.sink();
        std::mem::swap(&mut sink.out, out);
        let over = sink.over;
        self.given += (out.len() - before) as u64 + std::mem::take(&mut sink.charged);
        let outcome = if over {
            Err(DecodeError::OverBudget)
        } else {
            worked
        };
        if outcome.is_err() {
            self.engine = Engine::Failed(Sink::default());
        }
        outcome
    }
}

/// Where every engine writes: the caller's buffer, as far as there is room.
#[derive(Default)]
struct Sink {
    out: Vec<u8>,
    room: usize,
    over: bool,
    /// What was taken of the room for work, not for bytes.
    charged: u64,
}

impl Sink {
    fn take_room(&mut self, bytes: usize) -> io::Result<()> {
        let room = self.room.checked_sub(bytes);
        self.over |= room.is_none();
        self.room = room.ok_or_else(|| io::Error::other("over the budget"))?;
        Ok(())
    }

    fn charge(&mut self, bytes: usize) -> io::Result<()> {
        self.charged += bytes as u64;
        self.take_room(bytes)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.take_room(bytes.len())?;
        self.out.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The decoding libraries, all driven by pushing.
enum Engine {
    Identity(Sink),
    Gzip(Box<Gunzip>),
    Deflate(Box<Inflate>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
    Failed(Sink),
}

impl Engine {
    fn new(coding: Coding) -> Self {
        match coding {
            Coding::Identity => Self::Identity(Sink::default()),
            Coding::Gzip => Self::Gzip(Box::new(Gunzip(GzDecoder::new(Sink::default())))),
            Coding::Deflate => Self::Deflate(Box::default()),
            Coding::Brotli => Self::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(
                Sink::default(),
                BROTLI_BUFFER_BYTES,
            ))),
            Coding::Zstd => zstd_engine().unwrap_or_else(|_| Self::Failed(Sink::default())),
        }
    }

    fn sink(&mut self) -> &mut Sink {
        match self {
            Self::Identity(sink) | Self::Failed(sink) => sink,
            Self::Gzip(gunzip) => gunzip.0.get_mut(),
            Self::Deflate(inflate) => &mut inflate.sink,
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), DecodeError> {
        match self {
            Self::Identity(sink) => sink.write_all(bytes),
            Self::Gzip(gunzip) => gunzip.write_all(bytes),
            Self::Deflate(inflate) => inflate.write_all(bytes),
            Self::Brotli(decoder) => decoder.write_all(bytes),
            Self::Zstd(decoder) => decoder.write_all(bytes),
            Self::Failed(_) => Err(io::Error::other("failed before")),
        }
        .and_then(|()| match self {
            // What is decoded so far must be seen now: the stream's end may be in it.
            Self::Gzip(gunzip) => gunzip.0.flush(),
            Self::Zstd(decoder) => decoder.flush(),
            _ => Ok(()),
        })
        .map_err(DecodeError::Broken)
    }

    fn finish(&mut self) -> Result<(), DecodeError> {
        match self {
            Self::Identity(_) => Ok(()),
            Self::Gzip(gunzip) => gunzip.0.try_finish(),
            Self::Deflate(inflate) => inflate.finish(),
            Self::Brotli(decoder) => decoder.close(),
            Self::Zstd(decoder) => decoder.do_finish(),
            Self::Failed(_) => Err(io::Error::other("failed before")),
        }
        .map_err(|_| DecodeError::Truncated)
    }
}

fn zstd_engine() -> io::Result<Engine> {
    let mut decoder = zstd::stream::write::Decoder::new(Sink::default())?;
    decoder.window_log_max(ZSTD_WINDOW_LOG)?;
    Ok(Engine::Zstd(Box::new(decoder)))
}

/// Members of gzip, one after the other.
struct Gunzip(GzDecoder<Sink>);

impl Gunzip {
    fn write_all(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            match self.0.write(bytes)? {
                // The member has ended; these bytes begin another one.
                0 => {
                    self.0.try_finish()?;
                    let mut sink = std::mem::take(self.0.get_mut());
                    let charged = sink.charge(GZIP_MEMBER_BYTES);
                    self.0 = GzDecoder::new(sink);
                    charged?;
                }
                taken => bytes = bytes.get(taken..).unwrap_or_default(),
            }
        }
        Ok(())
    }
}

/// HTTP's `deflate`: the zlib format by its definition, raw deflate by some senders. Which of the
/// two is told by the first two bytes.
#[derive(Default)]
struct Inflate {
    sink: Sink,
    first: Option<u8>,
    state: Option<flate2::Decompress>,
    ended: bool,
}

impl Inflate {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.state.is_some() {
            return self.inflate(bytes);
        }
        match (self.first, bytes) {
            (_, []) => Ok(()),
            (None, &[first]) => {
                self.first = Some(first);
                Ok(())
            }
            (None, &[first, second, ..]) => {
                self.begin(first, second);
                self.inflate(bytes)
            }
            (Some(first), &[second, ..]) => {
                self.begin(first, second);
                self.inflate(&[first])?;
                self.inflate(bytes)
            }
        }
    }

    fn begin(&mut self, first: u8, second: u8) {
        let is_zlib =
            first & 0x0f == 8 && (u16::from(first) << 8 | u16::from(second)).is_multiple_of(31);
        self.state = Some(flate2::Decompress::new(is_zlib));
    }

    fn inflate(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let Some(state) = &mut self.state else {
            return Ok(());
        };
        let mut buffer = [0_u8; INFLATE_BUFFER_BYTES];
        loop {
            if self.ended {
                return if bytes.is_empty() {
                    Ok(())
                } else {
                    Err(io::Error::other("bytes after the end"))
                };
            }
            let (taken, given) = (state.total_in(), state.total_out());
            let status = state.decompress(bytes, &mut buffer, FlushDecompress::None)?;
            let taken = usize::try_from(state.total_in() - taken).unwrap_or(usize::MAX);
            let given = usize::try_from(state.total_out() - given).unwrap_or(usize::MAX);
            self.sink
                .write_all(buffer.get(..given).unwrap_or_default())?;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.ended = status == Status::StreamEnd;
            if !self.ended && taken == 0 && given == 0 {
                return Ok(());
            }
        }
    }

    fn finish(&self) -> io::Result<()> {
        if self.ended {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }
}

#[cfg(test)]
mod tests;
