//! `demo --serve`: the status page of the demo.

use crate::cli::progress::eprint_line;
use anyhow::{Context, Result};
use std::net::{SocketAddr, TcpListener};
use std::process::{Command, Stdio};

/// A loopback address that is free now.
pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("cannot find a free port for the page")?;
    Ok(listener.local_addr()?)
}

/// Opens the page in the browser, if there is a display.
pub(super) fn open(address: SocketAddr) {
    let has_display = ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if !has_display {
        return;
    }
    let page = format!("http://{address}/");
    let mut opener = Command::new("xdg-open");
    opener.arg(&page).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    // Not waited for: it may last as long as the browser.
    if let Err(error) = opener.spawn() {
        eprint_line(&format!("Cannot open the browser by xdg-open ({error}): open {page} yourself."));
    }
}
