//! How a figure grows with its parameter, drawn.

use std::collections::BTreeMap;
use std::time::Duration;

use plotters::prelude::*;

use crate::results::Measurement;

/// A line's points: parameter and microseconds.
type Points = Vec<(f64, f64)>;

/// The subjects that were measured with more than one parameter.
#[must_use]
pub fn subjects(measurements: &[Measurement]) -> Vec<&str> {
    let mut parameters: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for measured in measurements {
        parameters.entry(&measured.subject).or_default().extend(measured.parameter);
    }
    let grows = |all: &[u64]| all.iter().min() < all.iter().max();
    parameters.into_iter().filter(|(_, all)| grows(all)).map(|(subject, _)| subject).collect()
}

/// The plot of a subject as SVG, both scales logarithmic; with a horizontal line where a time is given to compare with.
///
/// # Errors
/// Where it cannot be drawn.
pub fn svg(
    measurements: &[Measurement],
    subject: &str,
    line: Option<(&str, Duration)>,
) -> Result<String, Box<dyn std::error::Error>> {
    let mut lines: BTreeMap<&str, Points> = BTreeMap::new();
    for measured in measurements.iter().filter(|measured| measured.subject == subject) {
        if let Some(parameter) = measured.parameter {
            let figure = measured.percentiles.as_ref().map_or(measured.median, |percentiles| percentiles.p50);
            lines.entry(&measured.contestant).or_default().push((to_float(parameter), figure.middle / 1e3));
        }
    }
    let points = || lines.values().flatten();
    let (left, right) = bounds(points().map(|point| point.0));
    let across = line.map(|(name, time)| (name, time.as_secs_f64() * 1e6));
    let (bottom, top) = bounds(points().map(|point| point.1).chain(across.map(|(_, micros)| micros)));

    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, (760, 420)).into_drawing_area();
        area.fill(&WHITE)?;
        let mut chart = ChartBuilder::on(&area)
            .caption(subject, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(70)
            .build_cartesian_2d((left..right).log_scale(), (bottom / 1.5..top * 1.5).log_scale())?;
        chart.configure_mesh().y_desc("µs").y_label_formatter(&|micros| format!("{micros}")).draw()?;
        if let Some((name, micros)) = across {
            chart
                .draw_series(LineSeries::new([(left, micros), (right, micros)], BLACK.stroke_width(2)))?
                .label(name)
                .legend(|(x, y)| PathElement::new([(x, y), (x + 18, y)], BLACK.stroke_width(2)));
        }
        for (index, (contestant, points)) in lines.into_iter().enumerate() {
            let style = Palette99::pick(index).stroke_width(2);
            chart
                .draw_series(LineSeries::new(points, style).point_size(3))?
                .label(contestant)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        chart.configure_series_labels().background_style(WHITE.mix(0.8)).border_style(BLACK).draw()?;
        area.present()?;
    }
    Ok(text)
}

fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

#[expect(clippy::cast_precision_loss, reason = "parameters are small")]
fn to_float(parameter: u64) -> f64 {
    parameter as f64
}
