//! Signals that come to this process and are meant for its child.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::process::ExitStatus;

use rustix::process::{Pid, Resource, Rlimit, Signal, getpgid, getpgrp, getpid, setrlimit};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::Requests;
use super::witness::Witness;

/// Signals that would end this process, stop it, or say something to a program: a child gets them all.
const PASSED_ON: [i32; 14] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGTSTP,
    libc::SIGCONT,
    libc::SIGXCPU,
    libc::SIGVTALRM,
    libc::SIGPROF,
    libc::SIGWINCH,
    libc::SIGIO,
];
/// Those that ask a program to end.
const REQUESTS_TO_END: [i32; 4] = [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM];

/// The signals of this system that a child gets.
fn passed_on() -> impl Iterator<Item = i32> {
    #[cfg(target_os = "linux")]
    let further = [libc::SIGPWR, libc::SIGSTKFLT]
        .into_iter()
        .chain(libc::SIGRTMIN()..=libc::SIGRTMAX());
    #[cfg(not(target_os = "linux"))]
    let further = std::iter::empty();
    PASSED_ON.into_iter().chain(further)
}

/// Starts to receive the signals that a child gets, instead of what they do by default.
pub(super) fn receive(wanted: impl Fn(i32) -> bool) -> mpsc::UnboundedReceiver<i32> {
    let (sender, receiver) = mpsc::unbounded_channel();
    for number in passed_on().filter(|number| wanted(*number)) {
        // What cannot be received does what it does by default.
        let Ok(mut stream) = signal(SignalKind::from_raw(number)) else {
            continue;
        };
        let sender = sender.clone();
        tokio::spawn(async move { while stream.recv().await.is_some() && sender.send(number).is_ok() {} });
    }
    receiver
}

/// The signals that come to this process while its child runs.
#[derive(Debug)]
pub(crate) struct Signals {
    received: mpsc::UnboundedReceiver<i32>,
    witness: Option<Witness>,
    requests: Requests,
}

impl Signals {
    /// Starts to receive signals. One that this process was started to ignore, as `nohup` does, is left alone: its child ignores it as
    /// well, and would not if it were received here.
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            received: receive(|number| !is_ignored(number)),
            witness: Witness::start().ok(),
            requests: Requests::default(),
        })
    }

    /// Waits for a signal.
    pub(crate) async fn next(&mut self) -> i32 {
        let number = match self.received.recv().await {
            Some(number) => number,
            None => std::future::pending().await,
        };
        self.requests.end |= REQUESTS_TO_END.contains(&number);
        self.requests.last = Some(number);
        number
    }

    /// Passes a signal on, unless the child has it already: a terminal, and whoever ends a whole job, sends it to every process of the
    /// group.
    pub(crate) async fn pass_on(&mut self, number: i32, child: &Child) {
        let pid = child
            .id()
            .and_then(|id| i32::try_from(id).ok())
            .and_then(Pid::from_raw);
        let Some(pid) = pid else {
            return;
        };
        if !self.came_to_all(number, pid).await {
            send(pid, number);
        }
        if number == libc::SIGTSTP {
            // Who started this process sees that the command stopped, and starts it again with SIGCONT.
            send(getpid(), libc::SIGSTOP);
        }
    }

    async fn came_to_all(&mut self, number: i32, child: Pid) -> bool {
        // To be started again twice harms nobody, and a witness that was stopped as well could not answer.
        if number == libc::SIGCONT || getpgid(Some(child)) != Ok(getpgrp()) {
            return false;
        }
        match &mut self.witness {
            Some(witness) => witness.saw(number).await,
            None => false,
        }
    }

    pub(crate) fn requests(&self) -> Requests {
        self.requests
    }
}

/// Sends a signal by its number, one of those for real time as well.
fn send(process: Pid, number: i32) {
    #[expect(unsafe_code, reason = "rustix has no safe type for the signals for real time")]
    // SAFETY: the call has no arguments in memory. The process may have ended meanwhile, which is no fault.
    unsafe {
        libc::kill(process.as_raw_nonzero().get(), number);
    }
}

/// Whether this process was started to ignore a signal.
fn is_ignored(number: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    #[expect(unsafe_code, reason = "the standard library does not ask")]
    // SAFETY: with no new action the call only writes the present one, which is read if it did.
    unsafe {
        libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// Has a child killed when this process is killed: nothing could pass that on.
pub(crate) fn end_with_parent(command: &mut Command) {
    #[cfg(target_os = "linux")]
    {
        let parent = getpid();
        #[expect(unsafe_code, reason = "there is no safe way to do this in a child")]
        // SAFETY: the closure makes two system calls, allocates nothing and takes no lock.
        unsafe {
            command.pre_exec(move || {
                rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
                if rustix::process::getppid() == Some(parent) {
                    Ok(())
                } else {
                    Err(rustix::io::Errno::SRCH.into())
                }
            });
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = command;
}

/// The signal that ended a process.
pub(crate) fn signal_of(status: ExitStatus) -> Option<i32> {
    status.signal()
}

/// Ends this process by a signal, so that whoever started it sees what became of its child. Comes back where that has no effect, as in
/// the first process of a container.
pub(crate) fn end_by(number: i32) {
    // One core file of the command is enough.
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    #[expect(unsafe_code, reason = "the standard library does not do this")]
    // SAFETY: the default action is no function of this process.
    unsafe {
        libc::signal(number, libc::SIG_DFL);
        libc::raise(number);
    }
}

/// Files that a child's supervision opens: pipes, its handle, and those of the witness.
const FILES: usize = 24;

/// Whether this process may open as many files as the supervision of a child takes.
pub(crate) fn has_room() -> bool {
    (0..FILES)
        .map(|_| File::open("/dev/null"))
        .collect::<io::Result<Vec<_>>>()
        .is_ok()
}

/// Runs a command in the place of this process; comes back if it cannot.
pub(crate) fn instead(program: &OsStr, arguments: &[OsString]) -> io::Error {
    std::process::Command::new(program).args(arguments).exec()
}

/// Requests to end.
#[derive(Debug)]
pub(crate) struct Terminate(tokio::signal::unix::Signal);

pub(crate) fn terminate() -> io::Result<Terminate> {
    signal(SignalKind::terminate()).map(Terminate)
}

impl Terminate {
    pub(crate) async fn next(&mut self) {
        self.0.recv().await;
    }
}
