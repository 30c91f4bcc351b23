use floe_telemetry_receiver::{Dropped, Limits, Sink as _, Store, Style, render};

use crate::fixtures::*;

#[test]
fn the_oldest_traces_go_first_and_are_counted() {
    let store = Store::new(Limits {
        traces: 2,
        ..Limits::default()
    });
    for id in 1..=5 {
        let sent = of_trace(id, span(1, 0, "only", 0, 1));
        store
            .accept(&spans(resource("s", "rust", 1), vec![sent]))
            .unwrap();
    }
    let snapshot = store.snapshot();
    let kept: Vec<_> = snapshot
        .traces
        .iter()
        .map(|trace| trace.id.to_bytes()[15])
        .collect();
    assert_eq!(kept, [4, 5]);
    assert_eq!(
        snapshot.dropped,
        Dropped {
            traces: 3,
            ..Dropped::default()
        }
    );
    let text = render(&snapshot, &Style::plain());
    assert!(
        text.ends_with("\ndropped, because only so much is kept: 3 whole traces\n"),
        "{text}"
    );
}

#[test]
fn one_trace_alone_cannot_fill_the_memory() {
    let store = Store::new(Limits {
        bytes: 10_000,
        ..Limits::default()
    });
    let all = (1..=1_000).map(|id| span(id, 0, "filler", 0, 1)).collect();
    store.accept(&spans(resource("s", "rust", 1), all)).unwrap();
    let snapshot = store.snapshot();
    let kept = snapshot.traces[0].spans.len() as u64;
    assert!(kept > 1, "{kept}");
    assert_eq!(snapshot.dropped.records, 1_000 - kept);
}

#[test]
fn a_span_that_is_sent_again_is_there_once_and_takes_no_more_room() {
    let store = Store::new(Limits {
        bytes: 10_000,
        ..Limits::default()
    });
    for _ in 0..1_000 {
        store
            .accept(&spans(resource("s", "rust", 1), vec![span(1, 0, "again", 0, 1)]))
            .unwrap();
    }
    let snapshot = store.snapshot();
    assert_eq!(snapshot.traces[0].spans.len(), 1);
    assert_eq!(snapshot.dropped, Dropped::default());
}

#[test]
fn logs_without_a_trace_are_bounded() {
    let store = Store::new(Limits {
        logs: 3,
        ..Limits::default()
    });
    for at in 0..10 {
        store
            .accept(&logs(resource("s", "rust", 1), vec![log(0, 0, at, 9, "loose")]))
            .unwrap();
    }
    assert_eq!(store.snapshot().logs.len(), 3);
    assert_eq!(store.dropped().logs, 7);
}
