//! Signals, for the life of the process.

use super::DaemonError;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// What a signal asks of the process.
#[derive(Debug, Clone, Copy)]
pub(super) enum ProcessSignal {
    Stop(&'static str),
    Reload,
}

/// The signals since [`Signals::listen`].
pub(super) struct Signals {
    receiver: mpsc::UnboundedReceiver<ProcessSignal>,
}

impl Signals {
    pub(super) fn listen() -> Result<Signals, DaemonError> {
        let on = |kind| signal(kind).map_err(DaemonError::Signals);
        let mut terminate = on(SignalKind::terminate())?;
        let mut interrupt = on(SignalKind::interrupt())?;
        let mut hangup = on(SignalKind::hangup())?;
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut stopping = false;
            loop {
                let signal = tokio::select! {
                    _ = terminate.recv() => ProcessSignal::Stop("SIGTERM"),
                    _ = interrupt.recv() => ProcessSignal::Stop("SIGINT"),
                    _ = hangup.recv() => ProcessSignal::Reload,
                };
                if let ProcessSignal::Stop(name) = signal {
                    if stopping {
                        tracing::warn!(
                            "stopped at once by a second signal, {name}: what was not recorded stays in the queue"
                        );
                        std::process::exit(1);
                    }
                    stopping = true;
                }
                let _ = sender.send(signal);
            }
        });
        Ok(Signals { receiver })
    }

    pub(super) async fn next(&mut self) -> ProcessSignal {
        match self.receiver.recv().await {
            Some(signal) => signal,
            None => std::future::pending().await,
        }
    }
}
