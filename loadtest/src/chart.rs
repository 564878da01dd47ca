//! A chart of lines, as SVG that stands in a page.

use std::fmt::{self, Write as _};

/// Lines over an axis.
#[derive(Clone, Debug)]
pub(crate) struct Chart {
    /// What is on the horizontal axis.
    pub(crate) across: String,
    /// What is on the vertical axis, with its unit.
    pub(crate) up: String,
    /// Where the horizontal axis is marked; nothing: at round numbers.
    pub(crate) marks: Vec<(f64, String)>,
    /// How the vertical axis is divided.
    pub(crate) scale: Scale,
    pub(crate) lines: Vec<Line>,
}

/// How an axis is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scale {
    /// From 0 on, evenly.
    Even,
    /// By powers of ten, from a thousandth on.
    Powers,
}

/// A line, from left to right.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

/// In units of the drawing; the page makes it as wide as there is room.
const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 30.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = 40.0;

/// Told apart by who does not see all colours, on light and on dark ground.
const COLOURS: [&str; 7] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#888888",
];

/// The least that [`Scale::Powers`] shows.
const POWERS_MIN: f64 = 0.001;

/// A round axis has about so many marks.
const MARKS: f64 = 6.0;

impl Scale {
    /// Where a value is on the axis.
    fn place(self, value: f64) -> f64 {
        match self {
            Self::Even => value,
            Self::Powers => value.max(POWERS_MIN).log10(),
        }
    }

    /// The ends of an axis for these values, and where it is marked.
    fn axis(self, values: impl Iterator<Item = f64>) -> (f64, f64, Vec<(f64, String)>) {
        let (least, most) = values
            .map(|value| self.place(value))
            .fold((f64::INFINITY, f64::NEG_INFINITY), |ends, place| {
                (ends.0.min(place), ends.1.max(place))
            });
        if !least.is_finite() || !most.is_finite() {
            return (0.0, 1.0, Vec::new());
        }
        match self {
            Self::Even => {
                let step = round_step(most / MARKS);
                let end = (most / step).ceil().max(1.0) * step;
                (0.0, end, marks(0.0, end, step, number))
            }
            Self::Powers => {
                let (from, to) = (least.floor(), most.ceil().max(least.floor() + 1.0));
                let marks = marks(from, to, 1.0, |power| number(10_f64.powf(power)));
                (from, to, marks)
            }
        }
    }
}

/// 1, 2 or 5 times a power of ten, and at least `least`.
fn round_step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= least)
        .unwrap_or(10.0 * power)
}

fn marks(from: f64, to: f64, step: f64, label: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    let places = (0..).map(|count| from + f64::from(count) * step);
    let within = places.take_while(|place| *place <= to + step / 2.0);
    within.map(|place| (place, label(place))).collect()
}

fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// As SVG.
impl fmt::Display for Chart {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (left, right, round) = Scale::Even.axis(points().map(|point| point.0));
        let marks = if self.marks.is_empty() {
            &round
        } else {
            &self.marks
        };
        let right = self.marks.iter().map(|mark| mark.0).fold(
            if self.marks.is_empty() {
                right
            } else {
                f64::MIN_POSITIVE
            },
            f64::max,
        );
        let (low, high, heights) = self.scale.axis(points().map(|point| point.1));
        let x = |place: f64| LEFT + (place - left) / (right - left) * (WIDTH - LEFT - RIGHT);
        let y =
            |place: f64| HEIGHT - BOTTOM - (place - low) / (high - low) * (HEIGHT - TOP - BOTTOM);
        writeln!(
            formatter,
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img"><g class="axes">"#
        )?;
        let (bottom, end) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (place, label) in marks {
            let (x, below) = (x(*place), bottom + 16.0);
            writeln!(
                formatter,
                r#"<line x1="{x:.1}" y1="{TOP}" x2="{x:.1}" y2="{bottom}"/><text x="{x:.1}" y="{below}">{label}</text>"#
            )?;
        }
        for (place, label) in &heights {
            let (y, beside) = (y(*place), LEFT - 6.0);
            writeln!(
                formatter,
                r#"<line x1="{LEFT}" y1="{y:.1}" x2="{end}" y2="{y:.1}"/><text class="left" x="{beside}" y="{y:.1}">{label}</text>"#
            )?;
        }
        let (middle, under) = (WIDTH / 2.0, HEIGHT - 6.0);
        writeln!(
            formatter,
            r#"<text x="{middle}" y="{under}">{}</text></g>"#,
            escaped(&self.across)
        )?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let mut path = String::new();
            for (across, up) in &line.points {
                // Writing to a String does not fail.
                let _ = write!(path, "{:.1},{:.1} ", x(*across), y(self.scale.place(*up)));
            }
            writeln!(
                formatter,
                r#"<polyline points="{}" stroke="{colour}"><title>{}</title></polyline>"#,
                path.trim_end(),
                escaped(&line.name)
            )?;
        }
        write!(
            formatter,
            "</svg>\n<p class=\"legend\">{}:",
            escaped(&self.up)
        )?;
        for (line, colour) in self.lines.iter().zip(COLOURS.iter().cycle()) {
            let name = escaped(&line.name);
            write!(
                formatter,
                r#" <span style="color:{colour}">&#9632;</span> {name}"#
            )?;
        }
        writeln!(formatter, "</p>")
    }
}

/// Text as it may stand in HTML, in an attribute too.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(scale: Scale, points: &[(f64, f64)]) -> String {
        Chart {
            across: "seconds".to_owned(),
            up: "ms".to_owned(),
            marks: Vec::new(),
            scale,
            lines: vec![Line {
                name: "a<b".to_owned(),
                points: points.to_vec(),
            }],
        }
        .to_string()
    }

    #[test]
    fn a_line_goes_from_corner_to_corner() {
        let svg = chart(Scale::Even, &[(0.0, 0.0), (10.0, 50.0)]);
        assert!(svg.contains(r#"points="70.0,260.0 870.0,10.0""#), "{svg}");
        assert!(svg.contains("a&lt;b") && !svg.contains("a<b"));
        let svg = chart(Scale::Powers, &[(0.0, 0.1), (10.0, 100.0)]);
        assert!(svg.contains(r#"points="70.0,260.0 870.0,10.0""#), "{svg}");
    }

    #[test]
    fn whatever_is_drawn_is_in_the_picture() {
        for scale in [Scale::Even, Scale::Powers] {
            for points in [
                &[][..],
                &[(0.0, 0.0)],
                &[(5.0, 7.0)],
                &[(0.0, 1e9), (1.0, 1e-9)],
                &[(0.0, 3.0), (86_400.0, 3.0)],
            ] {
                let svg = chart(scale, points);
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
                assert!(!svg.contains(r#""-"#) && !svg.contains(",-"), "{svg}");
                assert!(svg.len() < 10_000);
            }
        }
    }

    #[test]
    fn steps_are_round() {
        for (least, step) in [
            (0.0, 1.0),
            (0.15, 0.2),
            (1.0, 1.0),
            (3.1, 5.0),
            (70.0, 100.0),
        ] {
            assert!((round_step(least) - step).abs() < 1e-9, "{least}");
        }
    }
}
