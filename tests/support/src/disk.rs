//! A disk small enough to be filled in a moment.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A file system in memory; dropped, it is unmounted and everything in it is gone.
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts a new one; none where that takes privileges that this process has not.
    pub fn mount(path: &Path, mebibytes: usize) -> Option<Self> {
        fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(path)
            .stderr(Stdio::null());
        let is_mounted = mount.status().is_ok_and(|status| status.success());
        is_mounted.then(|| Self(path.to_owned()))
    }

    /// Unmounts what is mounted there, if anything, even if it is in use.
    #[allow(unsafe_code, reason = "the standard library mounts nothing")]
    pub fn unmount(path: &Path) {
        let path = CString::new(path.as_os_str().as_bytes()).unwrap();
        // It fails where nothing is mounted, which is what is asked for.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes up space with something that is not the store's.
    pub fn fill(&self, bytes: usize) {
        fs::write(self.filler(), vec![b'f'; bytes]).unwrap();
    }

    /// Takes up all of the space that is left.
    pub fn fill_up(&self) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        while file.write_all(&[b'f'; 4096]).is_ok() {}
    }

    /// Gives that space back.
    pub fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        Self::unmount(&self.0);
    }
}
