//! Figures of several runs.

/// One figure of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The middle one; of an even number the higher of the two.
    pub median: f64,
    /// The lowest.
    pub least: f64,
    /// The highest.
    pub most: f64,
}

/// Of the values that are numbers; `None` if there are none.
#[must_use]
pub fn spread(values: impl Iterator<Item = f64>) -> Option<Spread> {
    let mut all: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    Some(Spread {
        median: *all.get(all.len() / 2)?,
        least: *all.first()?,
        most: *all.last()?,
    })
}

/// What stands where there is no figure.
pub const ABSENT: &str = "–";

/// A figure in a table, with the least and the most where they differ.
#[must_use]
pub fn told(spread: Option<Spread>, digits: usize) -> String {
    let Some(all) = spread else {
        return ABSENT.to_owned();
    };
    let [median, least, most] =
        [all.median, all.least, all.most].map(|value| format!("{value:.digits$}"));
    if least == most {
        median
    } else {
        format!("{median} ({least}–{most})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_has_its_spread_and_what_is_none_is_absent() {
        let of = |values: &[f64], digits| told(spread(values.iter().copied()), digits);
        assert_eq!(of(&[0.5, 0.25, 4.0], 2), "0.50 (0.25–4.00)");
        assert_eq!(of(&[1.0, 2.0], 0), "2 (1–2)");
        assert_eq!(of(&[0.123, 0.124], 2), "0.12");
        assert_eq!(of(&[f64::NAN, 3.0, f64::INFINITY], 0), "3");
        assert_eq!(of(&[f64::NAN], 0), "–");
    }
}
