//! A floe compile: a root operation and one for each of its stages.

use crate::bindings::exports::floe::telemetry::operations::OperationKind;
use crate::operation::{Operation, OperationBuilder};
use crate::provider::TelemetryProvider;

impl TelemetryProvider {
    /// The compile of a manifest, named as its product. Its stages are [`Operation::stage`]s.
    ///
    /// ```no_run
    /// use floe_telemetry::{Operation, Outcome, TelemetryProvider};
    /// use std::num::ParseIntError;
    ///
    /// fn parse(text: &str) -> Result<u32, ParseIntError> {
    ///     text.parse()
    /// }
    ///
    /// # async fn examples() -> Result<(), ParseIntError> {
    /// let telemetry = TelemetryProvider::init("manifest.yaml");
    /// // By closures: each ends by its result.
    /// let rows = telemetry.compile("sales").run(|compile| {
    ///     let rows = compile.stage("parse").run(|_| parse("42"))?;
    ///     compile.stage("generate").run(|stage| {
    ///         stage.fact("bytes", 17);
    ///         Ok(rows)
    ///     })
    /// })?;
    /// // By futures.
    /// telemetry.compile("sales").run_async(async |compile| {
    ///     compile.stage("parse").run_async(async |_| parse("42")).await
    /// }).await?;
    /// // By hand: what is dropped without an end was cancelled.
    /// let compile = telemetry.compile("sales").begin();
    /// let stage = compile.stage("parse").begin();
    /// stage.end("success");
    /// compile.end("success");
    /// # Ok(())
    /// # }
    /// ```
    pub fn compile(&self, name: impl Into<String>) -> OperationBuilder<'_> {
        self.operation(OperationKind::Compile, name)
    }
}

impl<'a> Operation<'a> {
    /// A stage of this compile.
    pub fn stage(&self, name: impl Into<String>) -> OperationBuilder<'a> {
        self.child(OperationKind::CompileStage, name)
    }
}
