//! Probabilities as rejection thresholds of 56 bits.
//!
//! OpenTelemetry specification, "TraceState: Probability Sampling": keep if and only if R >= T.

/// The threshold that keeps nothing.
pub const NONE: u64 = 1 << 56;
/// The bits of a trace id that are R (W3C Trace Context Level 2, section 5.2.2).
pub const RANDOMNESS: u64 = NONE - 1;

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

/// T as `th` has it: hexadecimal digits with no zeros at the end.
pub fn to_th(threshold: u64) -> String {
    let digits = format!("{threshold:014x}");
    match digits.trim_end_matches('0') {
        "" => "0".to_owned(),
        digits => digits.to_owned(),
    }
}

/// T of a `th`: 1 to 14 digits, as if zeros stood at the end.
pub fn from_th(digits: &str) -> Option<u64> {
    let missing = 14_usize.checked_sub(digits.len())?;
    Some(hex(digits)? << (4 * missing))
}

/// R of an `rv`: exactly 14 digits.
pub fn from_rv(digits: &str) -> Option<u64> {
    hex(digits).filter(|_| digits.len() == 14)
}

/// 1 to 16 lower-case hexadecimal digits, and nothing else.
pub fn hex(digits: &str) -> Option<u64> {
    let mut number = 0_u64;
    for byte in digits.bytes() {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u64::from(digit);
    }
    (1..=16).contains(&digits.len()).then_some(number)
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

        #[test]
        fn a_th_is_its_threshold(threshold in 0..NONE) {
            proptest::prop_assert_eq!(from_th(&to_th(threshold)), Some(threshold));
        }
    }
}
