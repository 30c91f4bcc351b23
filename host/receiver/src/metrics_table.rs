//! Metrics as a table.

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use crate::metrics::{MetricRow, Metrics, Number, Reading};
use crate::text::{Style, escape, number};

const HEADER: [&str; 9] = [
    "metric",
    "unit",
    "attributes",
    "value",
    "count",
    "sum",
    "min",
    "max",
    "avg",
];
const FIRST_NUMBER: usize = 3;

/// One row for each metric and set of attributes; nothing if there are no metrics.
pub fn render_metrics(metrics: &Metrics, style: &Style) -> String {
    let rows = metrics.rows();
    if rows.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table
        .load_style(UTF8_FULL_CONDENSED)
        .force_no_tty()
        .set_header(HEADER);
    match style.width.map(u16::try_from) {
        Some(Ok(width)) => table
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(width),
        _ => table.set_content_arrangement(ContentArrangement::Disabled),
    };
    for column in table.column_iter_mut().skip(FIRST_NUMBER) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    for row in &rows {
        table.add_row(cells(row).map(Cell::new));
    }
    table.to_string() + "\n"
}

fn cells(row: &MetricRow) -> [String; HEADER.len()] {
    let mut about = row.attributes.clone();
    if let Some(hint) = row
        .process
        .as_ref()
        .map(|process| process.hint(None))
        .filter(|hint| !hint.is_empty())
    {
        if !about.is_empty() {
            about.push(' ');
        }
        about.push_str(&hint);
    }
    let known = |value: Option<f64>| value.map(number).unwrap_or_default();
    let (value, distribution) = match row.reading {
        Reading::Number(Number::Int(value)) => (value.to_string(), Default::default()),
        Reading::Number(Number::Double(value)) => (number(value), Default::default()),
        Reading::Distribution { count, sum, min, max } => {
            let avg = sum.filter(|_| count > 0).map(|sum| sum / count as f64);
            (
                String::new(),
                [count.to_string(), known(sum), known(min), known(max), known(avg)],
            )
        }
    };
    let [count, sum, min, max, avg] = distribution;
    let text = |text: &str| escape(text).into_owned();
    [
        text(&row.name),
        text(&row.unit),
        text(&about),
        value,
        count,
        sum,
        min,
        max,
        avg,
    ]
}
