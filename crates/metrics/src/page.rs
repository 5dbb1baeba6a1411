//! One answer, family by family.

use std::fmt;

use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::atoms::Histogram;
use crate::contract::{Family, Kind};

/// An answer being written.
pub(crate) struct Page<'p, 'e>(pub(crate) &'p mut DescriptorEncoder<'e>);

/// One family in it.
pub(crate) struct Series<'f> {
    family: &'static Family,
    encoder: MetricEncoder<'f>,
}

impl Page<'_, '_> {
    /// Writes a family with all of its series.
    pub(crate) fn family(
        &mut self,
        family: &'static Family,
        write: impl FnOnce(&mut Series<'_>) -> fmt::Result,
    ) -> fmt::Result {
        // The suffix is appended to each series' name.
        let name = family.name.strip_suffix("_total").unwrap_or(family.name);
        let kind = match family.kind {
            Kind::Counter => MetricType::Counter,
            Kind::Gauge => MetricType::Gauge,
            Kind::Histogram => MetricType::Histogram,
        };
        let encoder = self.0.encode_descriptor(name, family.meaning, None, kind)?;
        write(&mut Series { family, encoder })
    }
}

impl Series<'_> {
    /// Writes a series with the values of its labels, in order.
    fn with(
        &mut self,
        values: &[&str],
        write: impl FnOnce(&mut MetricEncoder<'_>) -> fmt::Result,
    ) -> fmt::Result {
        debug_assert_eq!(values.len(), self.family.labels.len(), "{}", self.family.name);
        let names = self.family.labels.iter().map(|label| label.name);
        let labels: Vec<(&str, &str)> = names.zip(values.iter().copied()).collect();
        if labels.is_empty() {
            return write(&mut self.encoder);
        }
        write(&mut self.encoder.encode_family(&labels)?)
    }

    pub(crate) fn counter(&mut self, values: &[&str], number: u64) -> fmt::Result {
        self.with(values, |to| {
            to.encode_counter::<NoLabelSet, _, f64>(&number, None)
        })
    }

    pub(crate) fn seconds(&mut self, seconds: f64) -> fmt::Result {
        self.with(&[], |to| to.encode_counter::<NoLabelSet, _, f64>(&seconds, None))
    }

    /// The same, unless nothing was counted.
    pub(crate) fn counted(&mut self, values: &[&str], number: u64) -> fmt::Result {
        if number == 0 {
            return Ok(());
        }
        self.counter(values, number)
    }

    pub(crate) fn gauge(&mut self, values: &[&str], number: u64) -> fmt::Result {
        self.with(values, |to| {
            to.encode_gauge(&i64::try_from(number).unwrap_or(i64::MAX))
        })
    }

    pub(crate) fn real(&mut self, values: &[&str], number: f64) -> fmt::Result {
        self.with(values, |to| to.encode_gauge(&number))
    }

    pub(crate) fn histogram(&mut self, values: &[&str], histogram: &Histogram) -> fmt::Result {
        let (sum, count, buckets) = histogram.read();
        self.with(values, |to| {
            to.encode_histogram::<NoLabelSet>(sum, count, &buckets, None)
        })
    }
}
