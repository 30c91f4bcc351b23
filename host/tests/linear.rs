//! The cost of any text is linear in its length: counted in instructions, so that a busy machine changes nothing.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use wasmtime::component::{Component, Linker, Val};
use wasmtime::{Config, Engine, Store};

const FUEL: u64 = u64::MAX / 2;

struct Counted {
    engine: Engine,
    component: Component,
    linker: Linker<()>,
}

impl Counted {
    fn new() -> Self {
        let mut config = Config::new();
        config.consume_fuel(true);
        let engine = Engine::new(&config).unwrap();
        Self {
            component: Component::from_file(&engine, env!("FLOE_POLICY_COMPONENT_FILE")).unwrap(),
            linker: Linker::new(&engine),
            engine,
        }
    }

    /// Instructions of a call on a new instance; the second one, since the first compiles patterns.
    fn cost(&self, interface: &str, function: &str, arguments: &[Val]) -> u64 {
        let mut store = Store::new(&self.engine, ());
        store.set_fuel(FUEL).unwrap();
        let instance = self.linker.instantiate(&mut store, &self.component).unwrap();
        let interface = format!("floe:telemetry/{interface}@0.1.0");
        let interface = instance.get_export_index(&mut store, None, &interface).unwrap();
        let index = instance
            .get_export_index(&mut store, Some(&interface), function)
            .unwrap();
        let function = instance.get_func(&mut store, index).unwrap();
        let mut cost = 0;
        for _ in 0..2 {
            let before = store.get_fuel().unwrap();
            function
                .call(&mut store, arguments, &mut [Val::Bool(false)])
                .unwrap();
            cost = before - store.get_fuel().unwrap();
        }
        cost
    }
}

#[test]
fn twice_the_text_costs_twice() {
    let counted = Counted::new();
    let text = |pattern: &str, size: usize| Val::String(pattern.chars().cycle().take(size).collect());
    let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (what, pattern) in [
        (
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01,",
        ),
        ("traceparent", " "),
        ("tracestate", ","),
        ("tracestate", " \t"),
        ("tracestate", "a=1,"),
        ("tracestate", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
        ("tracestate", "ot=th:8;"),
        ("baggage", ","),
        ("baggage", "a=1,"),
        ("baggage", "floe.mode=1,"),
        ("baggage", "a=%"),
        ("baggage", "a=%ff%fe;p;p,"),
        ("baggage", "="),
        ("baggage", "é;"),
        ("redact", "password="),
        ("redact", "a"),
        ("redact", "://@"),
        ("redact", "-----BEGIN PRIVATE KEY-----\n"),
        ("redact", "eyJ."),
    ] {
        let cost = |size: usize| {
            let empty = || Val::String(String::new());
            let hostile = text(pattern, size);
            match what {
                "redact" => counted.cost("errors", "redact", &[Val::List(vec![hostile])]),
                "traceparent" => counted.cost("propagation", "extract", &[hostile, empty(), empty()]),
                "tracestate" => {
                    let parent = Val::String(traceparent.to_owned());
                    counted.cost("propagation", "extract", &[parent, hostile, empty()])
                }
                _ => counted.cost("propagation", "extract", &[empty(), empty(), hostile]),
            }
        };
        let (once, twice) = (cost(30_000), cost(60_000));
        assert!(
            twice < once * 11 / 5 + 100_000,
            "{what} of {pattern:?}: {once} instructions for 30,000 characters, {twice} for 60,000"
        );
    }
}
