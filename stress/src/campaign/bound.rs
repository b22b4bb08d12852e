//! How often something may still happen that was seen so often.

/// The upper 95 % confidence bound of a rate, after so many violations in so many rounds: by the rule of three where none
/// was seen, else Wilson's (one-sided). 1 where nothing was run.
#[expect(clippy::cast_precision_loss, reason = "52 bits are enough for a bound")]
pub(crate) fn upper_95(violations: u64, rounds: u64) -> f64 {
    if rounds == 0 {
        return 1.0;
    }
    let count = rounds as f64;
    if violations == 0 {
        return (3.0 / count).min(1.0);
    }
    // The 95 % quantile of the normal distribution.
    let quantile = 1.644_853_626_951_472_7_f64;
    let square = quantile * quantile;
    let rate = violations as f64 / count;
    let spread = quantile * (rate * (1.0 - rate) / count + square / (4.0 * count * count)).sqrt();
    ((rate + square / (2.0 * count) + spread) / (1.0 + square / count)).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds() {
        let check = |violations, rounds, expected: f64| {
            let bound = upper_95(violations, rounds);
            assert!((bound - expected).abs() < 1e-4, "{violations} of {rounds}: {bound}");
        };
        check(0, 0, 1.0);
        check(0, 1, 1.0);
        check(0, 3_000, 0.001);
        check(5, 100, 0.0992);
        check(100, 100, 1.0);
    }
}
