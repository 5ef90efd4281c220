//! Pictures of a run, as SVG.

use std::path::Path;

use anyhow::anyhow;
use plotters::prelude::*;

use crate::bars::{Plot, Report};

const COLOURS: [RGBColor; 3] =
    [RGBColor(31, 119, 180), RGBColor(214, 39, 40), RGBColor(44, 160, 44)];

/// Draws each plot of the report.
pub(crate) fn draw(report: &Report, into: &Path) -> anyhow::Result<()> {
    for plot in &report.plots {
        let file = into.join(format!("{}.svg", plot.name));
        draw_one(plot, &file).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn draw_one(plot: &Plot, file: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let points = || plot.series.iter().flat_map(|series| &series.points);
    let most = |of: fn(&(f64, f64)) -> f64| points().map(of).fold(f64::MIN_POSITIVE, f64::max);
    let (right, top) = (most(|point| point.0), most(|point| point.1) * 1.05);
    let root = SVGBackend::new(file, (800, 450)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut builder = ChartBuilder::on(&root);
    builder.caption(plot.title, ("sans-serif", 20)).margin(15);
    builder.x_label_area_size(40).y_label_area_size(70);
    // The two kinds of axis are two types.
    if plot.is_log {
        let left = points().map(|point| point.0).filter(|x| *x > 0.0).fold(right, f64::min);
        let mut chart = builder.build_cartesian_2d((left..right).log_scale(), 0.0..top)?;
        chart.configure_mesh().x_desc(plot.across).y_desc(plot.up).draw()?;
        for (series, colour) in plot.series.iter().zip(COLOURS) {
            let points = series.points.iter().map(|(x, y)| (x.max(left), *y));
            chart
                .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
                .label(&series.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
        }
        chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    } else {
        let mut chart = builder.build_cartesian_2d(0.0..right, 0.0..top)?;
        chart.configure_mesh().x_desc(plot.across).y_desc(plot.up).draw()?;
        for (series, colour) in plot.series.iter().zip(COLOURS) {
            chart
                .draw_series(LineSeries::new(
                    series.points.iter().copied(),
                    colour.stroke_width(2),
                ))?
                .label(&series.label)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
        }
        chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    }
    root.present()?;
    Ok(())
}
