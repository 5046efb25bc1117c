//! Programs and libraries that a few tests need beside PostgreSQL: found, or installed from Debian where that can be done.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// libfaketime.
pub fn libfaketime() -> PathBuf {
    found_or_installed("faketime", || {
        let places = std::fs::read_dir("/usr/lib").unwrap().flatten().map(|place| place.path());
        places
            .chain(["/usr/lib".into(), "/usr/lib64".into()])
            .map(|p: PathBuf| p.join("faketime/libfaketime.so.1"))
            .find(|p| p.is_file())
    })
}

/// redis-cli, and a program that is redis-server if it is called so: Debian's tools have it as redis-check-rdb.
pub fn redis() -> (PathBuf, PathBuf) {
    found_or_installed("redis-tools", || {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let find = |name: &str| folders.iter().map(|f| f.join(name)).find(|p| p.is_file());
        find("redis-cli").zip(find("redis-server").or_else(|| find("redis-check-rdb")))
    })
}

fn found_or_installed<T>(package: &str, found: impl Fn() -> Option<T>) -> T {
    if let Some(there) = found() {
        return there;
    }
    assert!(
        nix::unistd::geteuid().is_root() && Path::new("/usr/bin/apt-get").is_file(),
        "this test needs {package}: install it (Debian: apt-get install {package}) and run again"
    );
    println!("installing Debian's {package} with apt-get");
    for arguments in [vec!["update", "-qq"], vec!["install", "-y", "-qq", "--no-install-recommends", package]]
    {
        let mut install = Command::new("apt-get");
        install.args(&arguments).env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
        assert!(install.status().unwrap().success(), "apt-get {} failed", arguments.join(" "));
    }
    found().unwrap_or_else(|| panic!("{package} was installed, and what is needed of it is not there"))
}
