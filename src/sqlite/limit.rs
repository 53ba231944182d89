//! The largest file that this process may write. SQLite reports reaching it as a disk error, and hides the cause.

use super::busy_wait;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use rusqlite::ErrorCode;
use std::error::Error;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// What happened, and what to do.
pub(crate) const REACHED: &str = "a file has reached the largest size that this process may write: raise that limit (ulimit -f, \
                           LimitFSIZE= in the unit), and start talkmirror again";

/// The system has sent SIGXFSZ.
static WAS_REACHED: AtomicBool = AtomicBool::new(false);

extern "C" fn note(_: nix::libc::c_int) {
    WAS_REACHED.store(true, Ordering::Relaxed);
}

/// Makes the limit an error to handle instead of the end of the process.
pub(crate) fn handle_signal() {
    let action = SigAction::new(SigHandler::Handler(note), SaFlags::SA_RESTART, SigSet::empty());
    // SAFETY: the handler only stores into an atomic.
    #[expect(unsafe_code, reason = "a signal handler")]
    let _ = unsafe { sigaction(Signal::SIGXFSZ, &action) };
}

/// Whether this limit caused the error.
pub(crate) fn is_reached(error: &(dyn Error + 'static)) -> bool {
    let by_sqlite = matches!(
        busy_wait::code(error),
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen | ErrorCode::DiskFull)
    );
    if by_sqlite && WAS_REACHED.load(Ordering::Relaxed) {
        return true;
    }
    let mut cause = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
        if kind == Some(io::ErrorKind::FileTooLarge) {
            return true;
        }
        cause = error.source();
    }
    false
}
