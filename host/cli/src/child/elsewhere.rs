//! A system without signals. Its console sends an interrupt to every process, so that it is only survived here.

use std::ffi::{OsStr, OsString};
use std::io;
use std::process::ExitStatus;

use tokio::process::{Child, Command};

use super::Requests;

/// Interrupts that this process survives.
#[derive(Debug)]
pub(crate) struct Signals {
    requests: Requests,
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            requests: Requests::default(),
        })
    }

    /// Waits for an interrupt.
    pub(crate) async fn next(&mut self) -> i32 {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        self.requests.end = true;
        0
    }

    #[expect(clippy::unused_async, reason = "as on Unix")]
    pub(crate) async fn pass_on(&mut self, _signal: i32, _child: &Child) {}

    pub(crate) fn requests(&self) -> Requests {
        self.requests
    }
}

pub(crate) fn end_with_parent(_command: &mut Command) {}

pub(crate) fn signal_of(_status: ExitStatus) -> Option<i32> {
    None
}

pub(crate) fn end_by(_signal: i32) {}

pub(crate) fn has_room() -> bool {
    true
}

pub(crate) fn instead(_program: &OsStr, _arguments: &[OsString]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Requests to end.
#[derive(Debug)]
pub(crate) struct Terminate;

pub(crate) fn terminate() -> io::Result<Terminate> {
    Ok(Terminate)
}

impl Terminate {
    #[expect(clippy::needless_pass_by_ref_mut, reason = "as on Unix")]
    pub(crate) async fn next(&mut self) {
        std::future::pending().await
    }
}
