//! Consistent probability sampling: a rejection threshold on the low 56 bits of the trace id.
//!
//! OpenTelemetry specification, "TraceState: Probability Sampling": keep if and only if R >= T.

/// The threshold that keeps nothing.
pub const NONE: u64 = 1 << 56;

/// Hexadecimal digits of a threshold that count; the specification recommends 4.
const PRECISION: i32 = 4;
const DIGITS: i32 = 14;

/// T for a probability, rounded to [`PRECISION`] digits and more where leading digits carry no information.
pub fn threshold(probability: f64) -> u64 {
    if probability >= 1.0 {
        return 0;
    }
    let whole = NONE as f64;
    if probability.is_nan() || probability * whole < 1.0 {
        return NONE;
    }
    let exact = NONE - (probability * whole).round() as u64;
    let extra = (exponent(probability) / -4).max(exponent(1.0 - probability) / -4);
    let shift = 4 * (DIGITS - (PRECISION + extra).min(DIGITS));
    if shift == 0 {
        return exact;
    }
    ((exact + (1 << (shift - 1))) >> shift) << shift
}

/// `e` of `number` = f * 2^e with f in [0.5, 1).
fn exponent(number: f64) -> i32 {
    ((number.to_bits() >> 52) & 0x7ff) as i32 - 1022
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_thresholds() {
        assert_eq!(threshold(1.0), 0);
        assert_eq!(threshold(0.5), 0x80_0000_0000_0000);
        assert_eq!(threshold(0.1), 0xe6_6600_0000_0000);
        assert_eq!(threshold(0.25), 0xc0_0000_0000_0000);
        assert_eq!(threshold(0.0), NONE);
        assert_eq!(threshold(f64::NAN), NONE);
    }

    proptest::proptest! {
        #[test]
        fn keeps_the_stated_fraction(probability in 0.000_001_f64..=1.0) {
            let kept = (NONE - threshold(probability)) as f64 / NONE as f64;
            proptest::prop_assert!((kept / probability - 1.0).abs() < 1.0 / 4096.0);
        }
    }
}
