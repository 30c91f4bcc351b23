//! `tracing` for services that use it already: spans become spans, events become log records of the span that they are in, and console lines.

use opentelemetry_appender_tracing::layer::OpenTelemetryTracingBridge;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::registry::LookupSpan;

use crate::component::Component;
use crate::console::Lines;
use crate::error::Error;
use crate::levels::Exported;
use crate::manifest::Manifest;
use crate::policy::Policy;
use crate::provider::TelemetryProvider;
use crate::redaction::Redaction;

impl TelemetryProvider {
    /// A layer for a `tracing` subscriber: spans and events of the manifest's levels and above. It does nothing where telemetry is
    /// not enabled.
    ///
    /// Whatever is logged within a span, or within an operation that is the current one, belongs to it. A thread or a task that the program starts
    /// has no current span of its own: attach the context that it continues, or instrument the task.
    ///
    /// ```no_run
    /// use opentelemetry::Context;
    /// use opentelemetry::trace::FutureExt as _;
    /// use tracing::Instrument as _;
    ///
    /// let context = Context::current();
    /// std::thread::spawn(move || {
    ///     let _attached = context.attach();
    ///     tracing::info!("in the trace of whoever started the thread");
    /// });
    /// # let work = std::future::ready(());
    /// let task = work.with_context(Context::current());
    /// # let work = std::future::ready(());
    /// let task_of_its_own_span = work.instrument(tracing::info_span!("load"));
    /// # drop((task, task_of_its_own_span));
    /// ```
    pub fn layer<S>(&self) -> Option<impl Layer<S> + Send + Sync + use<S>>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
    {
        let (tracer, logs) = (self.tracer()?, self.logger_provider()?);
        let spans = tracing_opentelemetry::layer().with_tracer(tracer.clone());
        Some(
            spans
                .and_then(OpenTelemetryTracingBridge::new(logs))
                .with_filter(Exported(self.levels().clone())),
        )
    }

    /// A layer for a `tracing` subscriber that writes a line for each event of the manifest's levels and above, as JSON or as text for people: as the
    /// manifest says. Lines are redacted, and have `trace_id`, `span_id`, `trace_flags` and `floe.namespace` as fields. Text for people is coloured as
    /// `ansi` says. It works where telemetry is not enabled as well.
    pub fn console<S, W>(&self, writer: W, ansi: bool) -> impl Layer<S> + Send + Sync + use<S, W>
    where
        S: Subscriber + for<'span> LookupSpan<'span> + Send + Sync,
        W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
    {
        let namespace = self.plan().and_then(|plan| {
            let found = plan.attributes.iter().find(|pair| pair.key == "floe.namespace")?;
            serde_json::from_str(&found.value).ok()
        });
        let lines = Lines {
            json: self.plan().is_some_and(|plan| plan.logging.json),
            namespace: namespace.unwrap_or_default(),
            redaction: Redaction::new(self.policy()),
        };
        tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_ansi(ansi)
            .event_format(lines)
            .with_filter(self.levels().clone())
    }

    /// Takes the levels of log records, of spans of `tracing` and of console lines from a manifest, the one that was read before or another. All else
    /// stays. A manifest that is refused changes nothing.
    pub fn reload_levels(&self, manifest: &Manifest) -> Result<(), Error> {
        let component = self
            .policy()
            .component()
            .cloned()
            .map_or_else(Component::load, Ok)?;
        let (_, plan) = Policy::configure(component, manifest)?;
        self.levels().set(&plan.logging);
        Ok(())
    }
}
