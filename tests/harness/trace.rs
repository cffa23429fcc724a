//! What a program asked of the system, read from strace's record: which call began and ended when, on which
//! file, with which bytes.
//!
//! Knows the form of the record (`-xx`, `-f`), and no more of the calls than where their file and their bytes
//! stand.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The system calls to record for [`read`].
pub const CALLS: &str = "openat,close,write,writev,pwrite64,ftruncate,fdatasync,fsync,rename,renameat,\
    renameat2,unlink,unlinkat,sendto,sendmsg";

/// One system call that ended.
#[derive(Clone, Debug)]
pub struct Call {
    /// Its place in the record when it began.
    pub began: usize,
    /// Its place when it ended.
    pub ended: usize,
    /// What it did.
    pub what: What,
}

/// What a system call did, as far as files and sockets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A file was opened that may be new.
    Open(PathBuf),
    /// Bytes were written at the end of a file, or at a place in it.
    Write {
        /// The file.
        path: PathBuf,
        /// Where; nothing: where the last such write ended.
        at: Option<u64>,
        /// The bytes that were taken.
        bytes: Vec<u8>,
    },
    /// A file was given this length.
    Cut(PathBuf, u64),
    /// What was written to a file before is on the disk.
    Sync(PathBuf),
    /// A file was renamed.
    Rename(PathBuf, PathBuf),
    /// A file was removed.
    Remove(PathBuf),
    /// Bytes were sent on a socket: its number, and the bytes.
    Send(i64, Vec<u8>),
}

/// A line of the record that is whole, or both halves of one.
struct Line {
    began: usize,
    ended: usize,
    name: String,
    arguments: String,
    result: i64,
}

/// Reads a record. Calls that failed did nothing and are left out; those under way at the end as well.
pub fn read(log: &Path) -> Vec<Call> {
    let text = std::fs::read_to_string(log).expect("strace's record");
    let mut files: HashMap<i64, PathBuf> = HashMap::new();
    let mut lines = lines(&text);
    lines.sort_by_key(|line| line.ended);
    let mut calls = Vec::new();
    for line in lines.into_iter().filter(|line| line.result >= 0) {
        if let Some(what) = what(&line, &mut files) {
            calls.push(Call {
                began: line.began,
                ended: line.ended,
                what,
            });
        }
    }
    calls
}

fn lines(text: &str) -> Vec<Line> {
    let mut halves: HashMap<&str, (usize, String, String)> = HashMap::new();
    let mut lines = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else {
            continue;
        };
        let rest = rest.trim_start();
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let second = resumed.split_once(" resumed>").map(|(_, second)| second);
            if let Some(((began, name, first), second)) = halves.remove(thread).zip(second) {
                lines.extend(whole(began, place, name, &(first + second)));
            }
            continue;
        }
        let Some((name, arguments)) = rest.split_once('(') else {
            continue;
        };
        match arguments.strip_suffix(" <unfinished ...>") {
            Some(first) => {
                halves.insert(thread, (place, name.to_owned(), first.to_owned()));
            }
            None => lines.extend(whole(place, place, name.to_owned(), arguments)),
        }
    }
    lines
}

fn whole(began: usize, ended: usize, name: String, rest: &str) -> Option<Line> {
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let result = result.split_whitespace().next()?.parse().ok()?;
    let arguments = arguments.trim_end().strip_suffix(')')?.to_owned();
    Some(Line {
        began,
        ended,
        name,
        arguments,
        result,
    })
}

fn what(line: &Line, files: &mut HashMap<i64, PathBuf>) -> Option<What> {
    let arguments = &*line.arguments;
    let number = || {
        arguments
            .split([',', ')'])
            .next()?
            .trim()
            .parse::<i64>()
            .ok()
    };
    let file = |files: &HashMap<i64, PathBuf>| files.get(&number()?).cloned();
    let taken = usize::try_from(line.result).ok()?;
    match &*line.name {
        "openat" => {
            let path = paths(arguments).into_iter().next()?;
            files.insert(line.result, path.clone());
            Some(What::Open(path))
        }
        "close" => {
            files.remove(&number()?);
            None
        }
        "write" | "writev" | "sendto" | "sendmsg" => {
            let mut bytes = quoted(arguments).concat();
            bytes.truncate(taken);
            match file(files) {
                Some(path) => Some(What::Write {
                    path,
                    at: None,
                    bytes,
                }),
                None => Some(What::Send(number()?, bytes)),
            }
        }
        "pwrite64" => {
            let mut bytes = quoted(arguments).concat();
            bytes.truncate(taken);
            let at = arguments.rsplit(',').next()?.trim().parse().ok();
            let path = file(files)?;
            Some(What::Write { path, at, bytes })
        }
        "ftruncate" => {
            let length = arguments.rsplit(',').next()?.trim().parse().ok()?;
            Some(What::Cut(file(files)?, length))
        }
        "fdatasync" | "fsync" => Some(What::Sync(file(files)?)),
        "rename" | "renameat" | "renameat2" => {
            let mut paths = paths(arguments).into_iter();
            Some(What::Rename(paths.next()?, paths.next()?))
        }
        "unlink" | "unlinkat" => Some(What::Remove(paths(arguments).into_iter().next()?)),
        _ => None,
    }
}

fn paths(arguments: &str) -> Vec<PathBuf> {
    let text = |bytes: Vec<u8>| PathBuf::from(String::from_utf8_lossy(&bytes).into_owned());
    quoted(arguments).into_iter().map(text).collect()
}

/// The texts in quotation marks, each byte of which stands there as `\x` and two digits.
fn quoted(arguments: &str) -> Vec<Vec<u8>> {
    let texts = arguments.split('"').skip(1).step_by(2);
    let bytes = |text: &str| {
        let digits = text.split("\\x").skip(1);
        digits
            .filter_map(|two| u8::from_str_radix(two, 16).ok())
            .collect()
    };
    texts.map(bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::{What, read};

    const RECORD: &str = r#"7 openat(AT_FDCWD, "\x2f\x61", O_RDWR|O_CREAT|O_APPEND|O_CLOEXEC, 0600) = 5
7 write(5, "\x68\x69\x00" <unfinished ...>
8 sendto(9, "\x6f\x6b", 2, MSG_NOSIGNAL, NULL, 0) = 2
7 <... write resumed>, 3)            = 3
7 fdatasync(5)                      = 0
7 fdatasync(5)                      = -1 EIO (Input/output error) (INJECTED)
7 pwrite64(5, "\x61\x62\x63", 3, 4096) = 2
8 ftruncate(5, 12)                  = 0
7 close(5)                          = 0
7 write(5, "\x61", 1)               = 1
"#;

    #[test]
    fn halves_are_put_together_and_a_number_names_a_file_only_while_it_is_open() {
        let folder = tempfile::TempDir::new().expect("a temporary folder");
        let log = folder.path().join("log");
        std::fs::write(&log, RECORD).expect("a file");
        let calls = read(&log);
        let write = |at, bytes: &[u8]| What::Write {
            path: "/a".into(),
            at,
            bytes: bytes.to_vec(),
        };
        let what: Vec<_> = calls.iter().map(|call| call.what.clone()).collect();
        let expected = [
            What::Open("/a".into()),
            What::Send(9, b"ok".to_vec()),
            write(None, b"hi\0"),
            What::Sync("/a".into()),
            write(Some(4096), b"ab"),
            What::Cut("/a".into(), 12),
            What::Send(5, b"a".to_vec()),
        ];
        assert_eq!(what, expected);
        assert_eq!((calls[2].began, calls[2].ended), (1, 3));
    }
}
