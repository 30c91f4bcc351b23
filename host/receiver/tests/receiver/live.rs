use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use floe_telemetry_receiver::{LiveOptions, LivePrinter, Sink as _, Store, Style};
use opentelemetry_proto::tonic::metrics::v1::{
    Metric, NumberDataPoint, Sum, metric::Data, number_data_point::Value,
};
use tokio::sync::oneshot;
use tokio::time::sleep;

use crate::fixtures::*;

/// A terminal that the test can look at.
#[derive(Clone, Default)]
struct Screen(Arc<Mutex<Vec<u8>>>);

impl Write for Screen {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Screen {
    /// What came since the last look.
    fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock().unwrap())).unwrap()
    }
}

struct Live {
    store: Arc<Store>,
    screen: Screen,
    stop: oneshot::Sender<()>,
    printer: tokio::task::JoinHandle<io::Result<()>>,
}

fn start(options: LiveOptions) -> Live {
    let store = Arc::new(Store::default());
    let screen = Screen::default();
    let (stop, stopped) = oneshot::channel();
    let printer = LivePrinter::new(Arc::clone(&store), options, Style::plain());
    let mut out = screen.clone();
    let printer = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        printer.run(&mut out, stopped).await
    });
    Live {
        store,
        screen,
        stop,
        printer,
    }
}

impl Live {
    async fn end(self) -> String {
        self.stop.send(()).unwrap();
        self.printer.await.unwrap().unwrap();
        self.screen.take()
    }
}

#[tokio::test(start_paused = true)]
async fn a_trace_is_printed_when_it_is_quiet_and_again_when_it_grows() {
    let live = start(LiveOptions::default());
    let send = |sent| {
        live.store
            .accept(&spans(resource("s", "rust", 1), vec![sent]))
            .unwrap()
    };

    send(span(2, 1, "child", 1, 2));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(live.screen.take(), "", "its root is not there");

    send(span(1, 0, "root", 0, 3));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(live.screen.take(), "", "more may come");
    sleep(Duration::from_secs(2)).await;
    let text = live.screen.take();
    assert!(
        text.contains("root") && text.contains("child") && !text.contains("updated"),
        "{text}"
    );

    sleep(Duration::from_secs(10)).await;
    assert_eq!(live.screen.take(), "", "once");

    send(span(3, 1, "late", 2, 3));
    sleep(Duration::from_secs(3)).await;
    let text = live.screen.take();
    assert!(text.contains("(updated)") && text.contains("late"), "{text}");

    assert_eq!(live.end().await, "", "nothing is left");
}

#[tokio::test(start_paused = true)]
async fn what_is_left_is_printed_at_the_end() {
    let live = start(LiveOptions::default());
    live.store
        .accept(&spans(resource("s", "rust", 1), vec![span(2, 1, "child", 1, 2)]))
        .unwrap();
    live.store
        .accept(&logs(resource("s", "rust", 1), vec![log(0, 0, 1, 9, "loose")]))
        .unwrap();
    live.store
        .accept(&metrics(resource("s", "rust", 1), vec![counter(4)]))
        .unwrap();
    let text = live.end().await;
    let order: Vec<_> = ["child", "loose", "floe.errors"]
        .iter()
        .map(|part| text.find(part))
        .collect();
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{text}");
}

#[tokio::test(start_paused = true)]
async fn logs_without_a_trace_are_printed_as_they_come() {
    let live = start(LiveOptions::default());
    for body in ["first", "second"] {
        live.store
            .accept(&logs(resource("s", "rust", 1), vec![log(0, 0, 1, 9, body)]))
            .unwrap();
        sleep(Duration::from_secs(1)).await;
        let text = live.screen.take();
        assert_eq!(text.matches("INFO").count(), 1, "{text}");
        assert!(text.contains(body), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn metrics_are_printed_when_they_changed() {
    let live = start(LiveOptions {
        metrics_every: Some(Duration::from_secs(5)),
        ..LiveOptions::default()
    });
    live.store
        .accept(&metrics(resource("s", "rust", 1), vec![counter(4)]))
        .unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(live.screen.take().matches("floe.errors").count(), 1);
    live.store
        .accept(&metrics(resource("s", "rust", 1), vec![counter(5)]))
        .unwrap();
    sleep(Duration::from_secs(20)).await;
    assert_eq!(live.screen.take().matches("floe.errors").count(), 1);
}

fn counter(value: i64) -> Metric {
    let point = NumberDataPoint {
        value: Some(Value::AsInt(value)),
        ..NumberDataPoint::default()
    };
    let sum = Sum {
        data_points: vec![point],
        aggregation_temporality: 2,
        is_monotonic: true,
    };
    Metric {
        name: "floe.errors".to_owned(),
        data: Some(Data::Sum(sum)),
        ..Metric::default()
    }
}
