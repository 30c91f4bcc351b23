//! The runtime that exports run on.

use std::future::Future;
use std::sync::Arc;

use tokio::runtime::{Builder, EnterGuard};

/// A Tokio runtime with one worker, shared by the exporters and ended with the last of them.
#[derive(Debug, Clone)]
pub struct Runtime(Arc<Ending>);

/// Ends the runtime without waiting: it may be dropped on a worker of the caller's runtime, where waiting is not allowed.
#[derive(Debug)]
struct Ending(Option<tokio::runtime::Runtime>);

impl Drop for Ending {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

impl Runtime {
    /// Starts the runtime's threads.
    pub fn start() -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("floe-telemetry-otlp")
            .enable_all()
            .build()?;
        Ok(Self(Arc::new(Ending(Some(runtime)))))
    }

    /// Runs a future on this thread; must not be called within a runtime.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> Option<F::Output> {
        self.0.0.as_ref().map(|runtime| runtime.block_on(future))
    }

    fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.0.as_ref().map(tokio::runtime::Runtime::enter)
    }

    /// Polls a future with the runtime entered, so that its timers, sockets and tasks belong to it, whichever thread drives it.
    pub(crate) async fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        std::future::poll_fn(|context| {
            let _entered = self.enter();
            future.as_mut().poll(context)
        })
        .await
    }
}
