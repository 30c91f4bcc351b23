//! A process beside the command, in its process group, that says whether a signal came to the whole group. A signal does not tell that
//! itself, and a command that gets one twice may take it for a demand to end at once.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::unix::receive;
use crate::Failure;

/// The hidden subcommand.
pub(crate) const NAME: &str = "witness";
/// A question: which signals came since the last one? The answer is a byte each, and [`END`].
const QUESTION: u8 = b'?';
const END: u8 = 0;
/// How long a signal may take from the system to whoever counts it here.
const SETTLING: Duration = Duration::from_millis(10);
/// Longest time for an answer.
const PATIENCE: Duration = Duration::from_secs(1);

/// The running witness.
#[derive(Debug)]
pub(super) struct Witness {
    process: Child,
    questions: ChildStdin,
    answers: ChildStdout,
    seen: BTreeSet<u8>,
}

impl Witness {
    pub(super) fn start() -> io::Result<Self> {
        let mut process = Command::new(std::env::current_exe()?)
            .arg(NAME)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        match (process.stdin.take(), process.stdout.take()) {
            (Some(questions), Some(answers)) => Ok(Self {
                process,
                questions,
                answers,
                seen: BTreeSet::new(),
            }),
            _ => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }

    /// Whether the witness got this signal too.
    pub(super) async fn saw(&mut self, number: i32) -> bool {
        let Ok(number) = u8::try_from(number) else {
            return false;
        };
        match timeout(PATIENCE, self.ask()).await {
            Ok(Ok(())) => self.seen.remove(&number),
            // It may have been too young to receive the signal, and died of it.
            Ok(Err(_)) => match timeout(PATIENCE, self.process.wait()).await {
                Ok(Ok(status)) => super::signal_of(status) == Some(i32::from(number)),
                _ => false,
            },
            Err(_) => false,
        }
    }

    async fn ask(&mut self) -> io::Result<()> {
        self.questions.write_all(&[QUESTION]).await?;
        loop {
            match self.answers.read_u8().await? {
                END => return Ok(()),
                number => self.seen.insert(number),
            };
        }
    }
}

/// The witness itself: it ends with the process that asks it.
pub(crate) fn run() -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut signals = receive(|_| true);
        let (asked, mut questions) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut byte = [0];
            while matches!(io::stdin().read(&mut byte), Ok(1)) && asked.send(()).is_ok() {}
        });
        while questions.recv().await.is_some() {
            sleep(SETTLING).await;
            let mut answer = Vec::new();
            while let Ok(number) = signals.try_recv() {
                answer.extend(u8::try_from(number));
            }
            answer.push(END);
            let mut out = io::stdout();
            out.write_all(&answer).and_then(|()| out.flush())?;
        }
        Ok(ExitCode::SUCCESS)
    })
}
