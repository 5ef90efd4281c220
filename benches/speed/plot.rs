//! Pictures of a run, as SVG.

use std::{error::Error, path::Path};

use anyhow::anyhow;
use plotters::{
    coord::ranged1d::{Ranged, ValueFormatter},
    coord::types::RangedCoordf64,
    prelude::*,
};

use crate::bars::{Plot, Report};

const COLOURS: [RGBColor; 3] =
    [RGBColor(31, 119, 180), RGBColor(214, 39, 40), RGBColor(44, 160, 44)];

type Chart<'a, X> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<X, RangedCoordf64>>;

/// Draws each plot of the report.
pub(crate) fn draw(report: &Report, into: &Path) -> anyhow::Result<()> {
    for plot in &report.plots {
        let file = into.join(format!("{}.svg", plot.name));
        draw_one(plot, &file).map_err(|error| anyhow!("{}: {error}", file.display()))?;
    }
    Ok(())
}

fn draw_one(plot: &Plot, file: &Path) -> Result<(), Box<dyn Error>> {
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
        fill(builder.build_cartesian_2d((left..right).log_scale(), 0.0..top)?, plot, left)?;
    } else {
        fill(builder.build_cartesian_2d(0.0..right, 0.0..top)?, plot, 0.0)?;
    }
    root.present()?;
    Ok(())
}

/// Draws the series; what lies left of the axis' beginning is drawn there.
fn fill<X>(mut chart: Chart<'_, X>, plot: &Plot, left: f64) -> Result<(), Box<dyn Error>>
where
    X: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    chart.configure_mesh().x_desc(plot.across).y_desc(plot.up).draw()?;
    for (series, colour) in plot.series.iter().zip(COLOURS) {
        let points = series.points.iter().map(|(x, y)| (x.max(left), *y));
        chart
            .draw_series(LineSeries::new(points, colour.stroke_width(2)))?
            .label(&series.label)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour));
    }
    chart.configure_series_labels().border_style(BLACK).background_style(WHITE).draw()?;
    Ok(())
}
