//! What is counted is declared once, as a row of a table: [`figures`] makes of it the field that a worker writes, the
//! sum over all workers with its key in the status document, and the family of the metrics text, which is also the row
//! of `docs/metrics.md`. Must not know: who counts, how text is written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counter, Gauge};

/// How long things took.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HistogramStatus {
    /// How many took up to 1, 2.5, 5, 10, 25, 50, 100, 250, 500 ms, 1, 2.5, 5, 10, 30, 60 s, and more; each in one of
    /// them alone.
    pub counts: Vec<u64>,
    /// All together, in seconds.
    pub sum_seconds: f64,
}

/// One value of a family.
#[derive(Clone, Copy, Debug)]
pub enum FigureValue<'a> {
    /// A whole number.
    Number(u64),
    /// A whole number that may be below zero.
    Signed(i64),
    /// Any number.
    Fraction(f64),
    /// A histogram.
    Histogram(&'a HistogramStatus),
}

/// Takes the values of a family, each with the label (key and value) that tells it from the others, if there are several.
pub type Sample<'a> = dyn FnMut(Option<(&'static str, &str)>, FigureValue<'_>) + 'a;

/// What can be counted, by one worker for itself.
pub trait Figure {
    /// What is told of it, over all workers.
    type Told;
    /// Whether that is a histogram.
    const IS_HISTOGRAM: bool = false;

    /// What several workers have counted.
    fn sum<'a>(shards: impl Iterator<Item = &'a Self>) -> Self::Told
    where
        Self: 'a;

    /// Gives its values to the metrics.
    fn tell(told: &Self::Told, sample: &mut Sample<'_>);
}

impl Figure for Counter {
    type Told = u64;

    fn sum<'a>(shards: impl Iterator<Item = &'a Self>) -> u64 {
        shards.fold(0, |sum, shard| sum.wrapping_add(shard.get()))
    }

    fn tell(told: &u64, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Number(*told));
    }
}

impl Figure for Gauge {
    type Told = u64;

    fn sum<'a>(shards: impl Iterator<Item = &'a Self>) -> u64 {
        shards.fold(0, |sum, shard| sum.wrapping_add(shard.get()))
    }

    fn tell(told: &u64, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Number(*told));
    }
}

/// What no worker counts: who makes the status document sets it.
#[derive(Debug, Default)]
pub struct Set<T>(std::marker::PhantomData<T>);

/// What can be [`Set`].
pub trait Settable: Default {
    /// See [`Figure::tell`].
    fn tell(&self, sample: &mut Sample<'_>);
}

impl<T: Settable> Figure for Set<T> {
    type Told = T;

    fn sum<'a>(_: impl Iterator<Item = &'a Self>) -> T
    where
        T: 'a,
    {
        T::default()
    }

    fn tell(told: &T, sample: &mut Sample<'_>) {
        told.tell(sample);
    }
}

impl Settable for u64 {
    fn tell(&self, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Number(*self));
    }
}

impl Settable for bool {
    fn tell(&self, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Number(u64::from(*self)));
    }
}

impl Settable for f64 {
    fn tell(&self, sample: &mut Sample<'_>) {
        sample(None, FigureValue::Fraction(*self));
    }
}

/// Where there is none, nothing is told.
impl<T: Settable> Settable for Option<T> {
    fn tell(&self, sample: &mut Sample<'_>) {
        if let Some(value) = self {
            value.tell(sample);
        }
    }
}

/// Numbers by the words of one of `super::keys`.
pub type Counts = BTreeMap<String, u64>;

/// One name of the metrics: what it means, and where its values are in a `T`.
pub struct Family<T> {
    /// Its name as users write it. `_total` at its end makes it a counter; the unit stands in it.
    pub name: &'static str,
    /// What it means: a sentence.
    pub help: &'static str,
    /// Whether its values are histograms.
    pub is_histogram: bool,
    /// Gives its values.
    pub tell: fn(&T, &mut Sample<'_>),
}

impl<T> Family<T> {
    /// A counter, or a gauge.
    pub const fn new(name: &'static str, help: &'static str, tell: fn(&T, &mut Sample<'_>)) -> Self {
        Self { name, help, is_histogram: false, tell }
    }
}

/// A table of figures. `field: kind => name in the metrics, meaning;` declares one; `field` is its key in the status
/// document, too. What follows under `and` is counted with them and told elsewhere.
macro_rules! figures {
    (
        $(#[$about:meta])* pub struct $Shard:ident => $(#[$told_about:meta])* $Told:ident {
            $( $(#[$attribute:meta])* $field:ident: $Kind:ty => $name:literal, $help:literal; )*
        }
        $( and { $( $(#[$extra_about:meta])* $extra:ident: $Extra:ty, )* } )?
    ) => {
        $(#[$about])*
        #[derive(Debug, Default)]
        #[repr(align(64))]
        pub struct $Shard {
            $( #[doc = $help] pub $field: $Kind, )*
            $($( $(#[$extra_about])* pub $extra: $Extra, )*)?
        }

        $(#[$told_about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $Told {
            $( #[doc = $help] $(#[$attribute])* pub $field: <$Kind as $crate::counters::Figure>::Told, )*
        }

        impl $Shard {
            /// What the workers of all `shards` have counted.
            #[must_use]
            pub fn sum<'a>(shards: impl Iterator<Item = &'a Self> + Clone) -> $Told {
                $Told {
                    $( $field: $crate::counters::Figure::sum(shards.clone().map(|shard| &shard.$field)), )*
                }
            }
        }

        impl $Told {
            /// The rows of the table as families of the metrics.
            pub const FAMILIES: &'static [$crate::counters::Family<Self>] = &[
                $( $crate::counters::Family {
                    name: $name,
                    help: $help,
                    is_histogram: <$Kind as $crate::counters::Figure>::IS_HISTOGRAM,
                    tell: |told, sample| <$Kind as $crate::counters::Figure>::tell(&told.$field, sample),
                }, )*
            ];
        }
    };
    // What is read elsewhere, and counted by no worker.
    (
        $(#[$told_about:meta])* pub struct $Told:ident {
            $( $field:ident: $Kind:ty => $name:literal, $help:literal; )*
        }
    ) => {
        $(#[$told_about])*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $Told {
            $( #[doc = $help] pub $field: $Kind, )*
        }

        impl $Told {
            /// The rows of the table as families of the metrics.
            pub const FAMILIES: &'static [$crate::counters::Family<Self>] = &[
                $( $crate::counters::Family::new($name, $help, |told, sample| {
                    $crate::counters::Settable::tell(&told.$field, sample)
                }), )*
            ];
        }
    };
}
pub(super) use figures;
