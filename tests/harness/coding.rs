//! Content codings as an upstream applies them.
//!
//! Knows bytes and codings; which answer gets which coding is the replay's business.

use std::io::Write;

/// A `content-coding`, by its name on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// `gzip`
    Gzip,
    /// `br`
    Brotli,
    /// `zstd`
    Zstd,
    /// `deflate`, in its zlib wrapping
    Deflate,
}

impl Coding {
    /// Every coding.
    pub const ALL: [Coding; 4] = [Coding::Gzip, Coding::Brotli, Coding::Zstd, Coding::Deflate];

    /// The coding of that name.
    pub fn named(name: &str) -> Option<Coding> {
        Coding::ALL.into_iter().find(|coding| coding.name() == name)
    }

    /// The name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            Coding::Gzip => "gzip",
            Coding::Brotli => "br",
            Coding::Zstd => "zstd",
            Coding::Deflate => "deflate",
        }
    }

    /// `bytes` in this coding. The same bytes always give the same result.
    pub fn encode(self, bytes: &[u8]) -> Vec<u8> {
        let fast = flate2::Compression::fast();
        match self {
            Coding::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
                encoder.write_all(bytes).expect("memory");
                encoder.finish().expect("memory")
            }
            Coding::Deflate => {
                let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), fast);
                encoder.write_all(bytes).expect("memory");
                encoder.finish().expect("memory")
            }
            Coding::Brotli => {
                let mut coded = Vec::new();
                let mut encoder = brotli::CompressorWriter::new(&mut coded, 4096, 1, 18);
                encoder.write_all(bytes).expect("memory");
                drop(encoder);
                coded
            }
            Coding::Zstd => zstd::encode_all(bytes, 1).expect("memory"),
        }
    }
}
