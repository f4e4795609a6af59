//! `/metrics`: the same numbers for Prometheus. <https://prometheus.io/docs/specs/om/open_metrics_spec/>
//!
//! Labels are the names of the definition, a fixed list of codes, and the words of the faults: no
//! client can make another. Listeners with different definitions are counted together where the
//! names are the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::answer::Context;
use super::definition::Page;
use super::state::Snapshot;

/// The type of the answer.
pub(super) const TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Labels with their values.
type Labels<const N: usize> = [(&'static str, String); N];

/// The numbers of one moment.
struct Numbers {
    context: Arc<Context>,
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Numbers")
    }
}

/// The metrics as text.
pub(super) fn metrics(context: &Arc<Context>) -> Result<String, fmt::Error> {
    let mut registry = Registry::with_prefix("postman");
    registry.register_collector(Box::new(Numbers { context: Arc::clone(context) }));
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

/// A code as a label has it.
fn code(code: u16) -> String {
    if code == crate::server::OTHER_CODE { "other".to_owned() } else { code.to_string() }
}

fn counters<const N: usize>(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    counts: &BTreeMap<Labels<N>, u64>,
) -> fmt::Result {
    let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in counts {
        ConstCounter::new(*count).encode(family.encode_family(labels)?)?;
    }
    Ok(())
}

fn counter(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, count: u64) -> fmt::Result {
    let metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    ConstCounter::new(count).encode(metric)
}

impl Numbers {
    /// What is counted by states and events.
    fn machines(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let numbers = self.context.live.numbers();
        let mut taken: BTreeMap<Labels<2>, u64> = BTreeMap::new();
        let mut refused: BTreeMap<Labels<3>, u64> = BTreeMap::new();
        let mut standing: BTreeMap<Labels<1>, u64> = BTreeMap::new();
        let mut fired: BTreeMap<Labels<1>, u64> = BTreeMap::new();
        for page in self.context.pages().iter() {
            let snapshot = Snapshot::of(page, numbers);
            for cell in snapshot.taken {
                let labels = [("state", cell.state.to_owned()), ("event", cell.event.to_owned())];
                *taken.entry(labels).or_default() += cell.count;
            }
            for one in snapshot.refused {
                let event = one.event.unwrap_or("-").to_owned();
                let labels =
                    [("state", one.state.to_owned()), ("event", event), ("code", code(one.code))];
                *refused.entry(labels).or_default() += one.count;
            }
            for (state, count) in snapshot.standing {
                *standing.entry([("state", state.to_owned())]).or_default() += count;
            }
            for report in page.definition.faults.iter().flat_map(|faults| faults.report()) {
                *fired.entry([("fault", report.says)]).or_default() += report.fired;
            }
        }
        counters(encoder, "transitions", "Moves of the machine, by state and event", &taken)?;
        counters(encoder, "refusals", "Refused lines, by state, event and code", &refused)?;
        let mut family = encoder.encode_descriptor(
            "sessions",
            "Sessions that stand in a state now",
            None,
            MetricType::Gauge,
        )?;
        for (labels, count) in &standing {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            ConstGauge::new(count).encode(family.encode_family(labels)?)?;
        }
        counters(encoder, "faults_fired", "Faults that fired", &fired)
    }
}

impl Collector for Numbers {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let encoder = &mut encoder;
        self.machines(encoder)?;
        let (live, numbers) = (&self.context.live, self.context.live.numbers());
        counter(encoder, "sessions_begun", "Clients that were let in", numbers.sessions)?;
        counter(encoder, "turned_away", "Clients that the caps turned away", numbers.turned_away)?;
        counter(encoder, "messages", "Messages that were stored", numbers.messages)?;
        counter(encoder, "message_octets", "Octets of their content", numbers.octets)?;
        counter(encoder, "syncs", "Syncs of files, folders and the file system", numbers.syncs)?;
        let times = live.times();
        let buckets: Vec<_> = times.buckets().collect();
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder
            .encode_descriptor(
                "store",
                "Time from the end of a message to its 250",
                Some(&Unit::Seconds),
                MetricType::Histogram,
            )?
            .encode_histogram::<NoLabelSet>(times.sum(), count, &buckets, None)?;
        let mut info = encoder.encode_descriptor(
            "definition",
            "The definitions that are served",
            None,
            MetricType::Info,
        )?;
        // Two machines may come from one file: one of them is encrypted from the first octet.
        let pages = self.context.pages();
        let of = |page: &Page| {
            [("name", page.definition.name.clone()), ("sha256", page.definition.sha256.clone())]
        };
        let definitions: BTreeSet<Labels<2>> = pages.iter().map(of).collect();
        definitions.iter().try_for_each(|labels| info.encode_info(labels))
    }
}
