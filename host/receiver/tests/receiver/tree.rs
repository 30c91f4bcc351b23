use std::collections::HashMap;

use floe_telemetry_receiver::{Style, Trace, render, render_trace};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::trace::v1::Span;
use proptest::prelude::*;

use crate::fixtures::*;

fn run() -> Trace {
    let dagster = resource("dagster", "python", 4242);
    let dbt = resource("dbt", "python", 4243);
    let error = (
        "DatabaseError",
        "relation \"raw.orders\" does not exist\nLINE 3: from raw.orders",
    );
    trace([
        spans(
            dbt.clone(),
            vec![
                span(3, 2, "dbt run", 120, 1700),
                failed(span(5, 3, "dbt.model fct_orders", 700, 1110), "", &[error]),
                span(4, 3, "dbt.model stg_orders", 200, 640),
                with_outcome(span(6, 3, "dbt.test not_null_orders_id", 1120, 1132), "warning"),
                with_outcome(span(7, 3, "dbt.model mart_orders", 1140, 1140), "skipped"),
            ],
        ),
        spans(
            dagster.clone(),
            vec![
                span(1, 0, "dagster.run orders", 0, 1840),
                failed(
                    span(2, 1, "dagster.step orders_dbt", 80, 1800),
                    "step failed",
                    &[],
                ),
            ],
        ),
        logs(
            dbt,
            vec![
                log(TRACE, 5, 712, 9, "1 of 2 START"),
                log(TRACE, 5, 1100, 17, "1 of 2 ERROR\ndetails"),
            ],
        ),
        logs(
            dagster,
            vec![
                log(TRACE, 9, 1300, 13, "lost its span"),
                log(TRACE, 0, 1400, 9, "never had one"),
            ],
        ),
    ])
}

#[test]
fn a_run_over_two_processes() {
    let expected = "\
trace 4bf92f3577b34da6a3ce929d0e0e4736 · 7 spans · 2 processes · dagster [python 4242], dbt [python 4243] · 1.84 s
✓ dagster.run orders                     1.84 s  [dagster python 4242]
└─ ✗ dagster.step orders_dbt             1.72 s
   │   step failed
   └─ ✓ dbt run                          1.58 s  [dbt python 4243]
      ├─ ✓ dbt.model stg_orders          440 ms
      ├─ ✗ dbt.model fct_orders          410 ms
      │      DatabaseError: relation \"raw.orders\" does not exist
      │      LINE 3: from raw.orders
      │      +712 ms   INFO   1 of 2 START
      │      +1.10 s   ERROR  1 of 2 ERROR … details
      ├─ ! dbt.test not_null_orders_id  12.0 ms
      └─ - dbt.model mart_orders              ·
logs of spans that were not received
  +1.30 s   WARN   lost its span  [dagster python 4242]
  +1.40 s   INFO   never had one  [dagster python 4242]
floe.mode=dev  floe.namespace=sales  floe.product.name=orders
";
    assert_eq!(render_trace(&run(), &Style::plain()), expected);
}

#[test]
fn verbose_adds_attributes_stack_ends_and_whole_bodies() {
    let text = render_trace(
        &run(),
        &Style {
            verbose: true,
            ..Style::plain()
        },
    );
    assert!(text.contains("      │        g\n"), "{text}");
    assert!(
        !text.contains("      │        a\n"),
        "only the end of the stack trace: {text}"
    );
    assert!(text.contains("floe.outcome=warning\n"), "{text}");
    assert!(text.contains("  details\n"), "{text}");
}

#[test]
fn logs_can_be_left_out_or_capped() {
    let without = render_trace(
        &run(),
        &Style {
            logs: false,
            ..Style::plain()
        },
    );
    assert!(
        !without.contains("START") && !without.contains("logs of spans"),
        "{without}"
    );

    let capped = render_trace(
        &run(),
        &Style {
            logs_per_span: 1,
            ..Style::plain()
        },
    );
    assert!(
        capped.contains("1 of 2 START\n      │      +1 more\n"),
        "{capped}"
    );
}

/// A traceback of so many frames, whose last line is the error.
fn traceback(frames: usize) -> String {
    let mut text = "Traceback (most recent call last):\n".to_owned();
    for frame in 0..frames {
        text += &format!(
            "  File \"job.py\", line {frame}, in f{frame}\n    f{}()\n",
            frame + 1
        );
    }
    text + "ValueError: 3 orders without a customer\n"
}

#[test]
fn a_traceback_is_cut_in_its_middle() {
    let from = || resource("s", "rust", 1);
    let all = |width| {
        let text = traceback(20);
        let long = format!("error {}: the reason", "x".repeat(200));
        let causes = [("ValueError", text.as_str()), ("ValueError", long.as_str())];
        let batches = [
            spans(
                from(),
                vec![
                    failed(span(1, 0, "root", 0, 9), &text, &[]),
                    failed(span(2, 1, "child", 1, 8), "", &causes),
                ],
            ),
            logs(
                from(),
                vec![
                    log(TRACE, 1, 5, 17, &traceback(20)),
                    log(TRACE, 1, 6, 9, &traceback(20)),
                ],
            ),
        ];
        render_trace(
            &trace(batches),
            &Style {
                width,
                ..Style::plain()
            },
        )
    };
    let text = all(None);
    for line in [
        "│   Traceback (most recent call last):\n",
        "│   … 34 lines …\n",
        "│   ValueError: 3 orders without a customer\n",
        "       ValueError: 3 orders without a customer\n",
        "ERROR  Traceback (most recent call last): … ValueError: 3 orders without a customer  (+40 lines)\n",
        "INFO   Traceback (most recent call last):  (+41 lines)\n",
    ] {
        assert!(text.contains(line), "{line:?} in {text}");
    }
    let narrow = all(Some(60));
    assert!(
        narrow.contains("xxx…xxx") && narrow.contains("xxx: the reason\n"),
        "{narrow}"
    );
    let short = render_trace(
        &trace([spans(
            from(),
            vec![failed(span(1, 0, "root", 0, 9), "a\nb\nc\nd\ne\nf\ng\nh", &[])],
        )]),
        &Style::plain(),
    );
    assert!(
        short.contains("    a\n") && short.contains("    h\n") && !short.contains('…'),
        "{short}"
    );
}

#[test]
fn no_text_looks_like_a_line_of_the_tree() {
    let forged = "failed\n└─ ✓ dagster.step fake  1.00 s\n+1.00 s   INFO   fake\n  │  fake\n✓ fake 1 s\n- fake\n-5 is less";
    let text = render_trace(
        &trace([spans(
            resource("s", "rust", 1),
            vec![failed(span(1, 0, "root", 0, 1), forged, &[])],
        )]),
        &Style::plain(),
    );
    let lines: Vec<_> = text.lines().skip(2).take(7).map(str::trim_start).collect();
    assert_eq!(
        lines,
        [
            "failed",
            "> └─ ✓ dagster.step fake  1.00 s",
            "> +1.00 s   INFO   fake",
            ">   │  fake",
            "> ✓ fake 1 s",
            "> - fake",
            "> -5 is less",
        ]
    );
}

#[test]
fn the_status_description_is_not_repeated() {
    let once = failed(
        span(1, 0, "step", 0, 1),
        "ValueError: no",
        &[("ValueError", "no")],
    );
    let text = render_trace(
        &trace([spans(resource("s", "rust", 1), vec![once])]),
        &Style::plain(),
    );
    assert_eq!(text.matches("ValueError: no").count(), 1, "{text}");
}

#[test]
fn a_missing_parent_and_a_circle_are_said() {
    let all = vec![
        span(1, 99, "orphan", 5, 6),
        span(2, 3, "left", 0, 4),
        span(3, 2, "right", 1, 3),
        span(4, 4, "itself", 9, 10),
        span(5, 0, "root", 20, 30),
    ];
    let text = render_trace(&trace([spans(resource("s", "rust", 1), all)]), &Style::plain());
    let body: Vec<_> = text.lines().skip(1).take(5).collect();
    assert_eq!(
        body,
        [
            "✓ orphan    1.00 ms  [s rust 1]  (parent 0000000000000063 not received)",
            "✓ root      10.0 ms  [s rust 1]",
            "✓ left      4.00 ms  [s rust 1]  (parent 0000000000000003 is below it)",
            "└─ ✓ right  2.00 ms",
            "✓ itself    1.00 ms  [s rust 1]  (parent 0000000000000004 is below it)",
        ]
    );
}

#[test]
fn ten_thousand_levels_are_ten_thousand_lines() {
    let deep = (1..=10_000)
        .map(|id| span(id, id - 1, "level", id, 20_000))
        .collect();
    let text = render_trace(&trace([spans(resource("s", "rust", 1), deep)]), &Style::plain());
    assert_eq!(text.matches("✓ level").count(), 10_000);
    assert!(text.contains("⋯9998 "), "the depth is said");
    assert!(text.len() < 3_000_000, "{} bytes", text.len());
}

#[test]
fn nothing_received_reaches_the_terminal_raw() {
    let evil = "\u{1b}[2J\r\n\u{7}\u{9b}31m\u{202e}evil";
    let mut bad = failed(span(1, 0, evil, 0, 1), evil, &[(evil, evil)]);
    bad.attributes = vec![attribute(evil, evil), attribute("floe.evil", evil)];
    let from = resource(evil, evil, 1);
    let snapshot = received([
        spans(from.clone(), vec![bad]),
        logs(
            from.clone(),
            vec![log(TRACE, 1, 0, 9, evil), log(0, 0, 0, 9, evil)],
        ),
    ]);
    for verbose in [false, true] {
        let text = render(
            &snapshot,
            &Style {
                verbose,
                ..Style::plain()
            },
        );
        let raw: Vec<_> = text
            .chars()
            .filter(|c| c.is_control() && *c != '\n' || *c == '\u{202e}')
            .collect();
        assert!(raw.is_empty(), "{raw:?} in {text:?}");
        assert!(text.contains(r"\u{1b}[2J"), "{text}");
    }
}

#[test]
fn colour_is_only_colour() {
    let coloured = render_trace(
        &run(),
        &Style {
            colour: true,
            ..Style::plain()
        },
    );
    assert!(coloured.contains("\u{1b}[31m✗\u{1b}[0m"), "{coloured:?}");
    let stripped = anstream::adapter::strip_str(&coloured).to_string();
    let lines: Vec<_> = stripped.lines().map(str::trim_end).collect();
    assert_eq!(lines.join("\n") + "\n", render_trace(&run(), &Style::plain()));
}

#[test]
fn lines_are_cut_to_a_terminal() {
    let long = span(1, 0, &"数据".repeat(100), 0, 1);
    let trace = trace([spans(resource("s", "rust", 1), vec![long])]);
    let text = render_trace(
        &trace,
        &Style {
            width: Some(60),
            ..Style::plain()
        },
    );
    for line in text.lines() {
        assert!(unicode_width::UnicodeWidthStr::width(line) <= 60, "{line}");
    }
    assert!(text.contains('…') && text.contains("1.00 ms"), "{text}");
}

#[test]
fn a_trace_of_logs_only_says_so() {
    let text = render_trace(
        &trace([logs(resource("s", "rust", 1), vec![log(TRACE, 7, 0, 9, "hello")])]),
        &Style::plain(),
    );
    assert!(
        text.starts_with("trace 4bf92f3577b34da6a3ce929d0e0e4736 · no spans received · 1 log record\n"),
        "{text}"
    );
    assert!(text.contains("hello"), "{text}");
}

#[test]
fn logs_without_a_trace_come_after_the_traces() {
    let snapshot = received([
        logs(
            resource("s", "rust", 1),
            vec![log(0, 0, 1_234, 13, "loose"), LogRecord::default()],
        ),
        spans(resource("s", "rust", 1), vec![span(1, 0, "only", 0, 1)]),
    ]);
    let text = render(&snapshot, &Style::plain());
    let tail = "
logs without a trace · 2 records
12:00:01.234Z  WARN   loose  [s rust 1]
-              -        [s rust 1]
";
    assert!(text.ends_with(tail), "{text}");
}

proptest! {
    #[test]
    fn every_span_is_shown_once(parents in prop::collection::vec(0_u64..40, 1..40)) {
        let all: Vec<Span> = parents
            .iter()
            .zip(1_u64..)
            .map(|(parent, id)| span(id, *parent, &format!("span<{id}>"), id * 7 % 11, 20))
            .collect();
        let count = all.len();
        let text = render_trace(&trace([spans(resource("s", "rust", 1), all)]), &Style::plain());
        let mut shown: HashMap<&str, usize> = HashMap::new();
        for name in text.lines().filter_map(|line| line.split_whitespace().find(|word| word.starts_with("span<"))) {
            *shown.entry(name).or_default() += 1;
        }
        prop_assert_eq!(shown.len(), count);
        prop_assert!(shown.values().all(|times| *times == 1));
    }

    #[test]
    fn any_text_is_shown_within_the_width(name in "\\PC*|.*", width in 1_usize..100) {
        let trace = trace([spans(resource(&name, "rust", 1), vec![failed(span(1, 0, &name, 0, 1), &name, &[])])]);
        for line in render_trace(&trace, &Style { width: Some(width), ..Style::plain() }).lines() {
            prop_assert!(unicode_width::UnicodeWidthStr::width(line) <= width, "{:?}", line);
        }
    }
}
