//! Sliding windows, whatever comes when.

use proptest::prelude::*;

use super::super::window::{Distinct, Sum};
use super::*;

fn any_span() -> impl Strategy<Value = Span> {
    prop_oneof![Just(Span::Minute), Just(Span::Hour), Just(Span::Day)]
}

proptest! {
    /// Whatever comes when: no stretch of that length has more than allowed.
    #[test]
    fn no_window_has_more(
        span in any_span(),
        most in 1_u64..20,
        deeds in proptest::collection::vec((0_u64..100_000, 1_u64..5), 1..200),
    ) {
        let mut sum = Sum::default();
        let mut now = START;
        let mut taken: Vec<(u64, u64)> = Vec::new();
        for (pause, amount) in deeds {
            now += pause * span.seconds() / 100_000;
            if sum.total(span, now) + amount <= most {
                sum.add(amount, span, now);
                taken.push((now, amount));
                let within: u64 = taken.iter().filter(|(at, _)| at + span.seconds() > now).map(|(_, amount)| amount).sum();
                prop_assert!(within <= most);
            }
        }
        prop_assert!(sum.kept(span, now).len() as u64 <= span.seconds() / span.grain() + 1);
    }

    /// Who is told to come again in so many seconds is taken then, and not a grain earlier.
    #[test]
    fn it_fits_when_it_is_said_to(
        span in any_span(),
        most in 1_u64..20,
        deeds in proptest::collection::vec((0_u64..2_000, 1_u64..5), 1..60),
        wanted in 1_u64..25,
    ) {
        let mut sum = Sum::default();
        let mut now = START;
        for (pause, amount) in deeds {
            now += pause;
            sum.add(amount, span, now);
        }
        match sum.fits_in(wanted, most, span, now) {
            None => prop_assert!(wanted > most),
            Some(wait) => {
                prop_assert!(sum.total(span, now + wait) + wanted <= most);
                prop_assert!(wait == 0 || sum.total(span, now + wait - 1) + wanted > most);
            }
        }
    }

    #[test]
    fn different_ones(
        span in any_span(),
        most in 1_u64..6,
        deeds in proptest::collection::vec((0_u64..100_000, 0_u8..12), 1..200),
    ) {
        let mut distinct = Distinct::default();
        let mut now = START;
        let mut taken: Vec<(u64, u8)> = Vec::new();
        for (pause, one) in deeds {
            now += pause * span.seconds() / 100_000;
            let name = one.to_string();
            let wait = distinct.fits_in(&name, most, span, now);
            if distinct.total_with(&name, span, now) <= most {
                prop_assert_eq!(wait, Some(0));
                distinct.add(&name, span, now);
                taken.push((now, one));
                let mut within: Vec<u8> = taken.iter().filter(|(at, _)| at + span.seconds() > now).map(|(_, one)| *one).collect();
                within.sort_unstable();
                within.dedup();
                prop_assert!(within.len() as u64 <= most);
            } else {
                let wait = wait.unwrap();
                prop_assert!(distinct.total_with(&name, span, now + wait) <= most);
            }
        }
    }
}
