//! A small file system of its own in memory, that can be full or read-only.
//!
//! It must not know what is kept on it. Mounting needs root.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A mounted tmpfs; it is unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs {
    folder: TempDir,
}

impl Tmpfs {
    /// Mounts one of so many KiB; nothing where that is not allowed.
    pub fn mount(kib: u32) -> Option<Tmpfs> {
        let folder = TempDir::new().expect("a temporary folder");
        let size = format!("size={kib}k,mode=0700");
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &size, "tollfree-test"])
            .arg(folder.path());
        let mounted = mount.stderr(Stdio::null()).status();
        mounted
            .is_ok_and(|status| status.success())
            .then_some(Tmpfs { folder })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Fills what is left of it with a file of zeros.
    pub fn fill(&self) {
        let mut ballast = std::fs::File::create(self.ballast()).expect("a file");
        let zeros = [0; 4096];
        while ballast.write_all(&zeros).is_ok() {}
        // The last page goes byte by byte.
        while ballast.write_all(&zeros[..1]).is_ok() {}
    }

    /// Takes the file away that fills it.
    pub fn make_room(&self) {
        std::fs::remove_file(self.ballast()).expect("the ballast");
    }

    /// Makes it read-only, or writable again.
    pub fn set_read_only(&self, read_only: bool) {
        let options = if read_only {
            "remount,ro"
        } else {
            "remount,rw"
        };
        let mount = Command::new("mount")
            .args(["-o", options])
            .arg(self.path())
            .status();
        assert!(mount.expect("mount").success(), "not remounted");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a program that is about to end may still hold a file on it.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.folder.path())
            .status();
    }
}
