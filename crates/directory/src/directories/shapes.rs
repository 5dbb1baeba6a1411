//! What SCRAM keys look like to a stranger, learned from those that were looked up: nonexistent accounts show the same
//! iteration count and salt length.

use std::collections::HashMap;

use parking_lot::Mutex;
use postern_sasl::{ScramHash, ScramShape};

/// Most shapes counted for one hash function.
const SHAPES_MAX: usize = 16;

/// How often each shape was seen.
#[derive(Debug, Default)]
pub(super) struct Shapes(Mutex<HashMap<ScramHash, HashMap<ScramShape, u64>>>);

impl Shapes {
    pub(super) fn note(&self, hash: ScramHash, shape: ScramShape) {
        let mut all = self.0.lock();
        let seen = all.entry(hash).or_default();
        if seen.len() < SHAPES_MAX || seen.contains_key(&shape) {
            *seen.entry(shape).or_default() += 1;
        }
    }

    pub(super) fn usual(&self, hash: ScramHash) -> Option<ScramShape> {
        let all = self.0.lock();
        let seen = all.get(&hash)?.iter();
        let most = seen.max_by_key(|(shape, count)| (**count, shape.iterations, shape.salt_octets))?;
        Some(*most.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_one() {
        let shape = |iterations, salt_octets| ScramShape {
            iterations,
            salt_octets,
        };
        let shapes = Shapes::default();
        assert_eq!(shapes.usual(ScramHash::Sha256), None, "nothing seen yet");
        shapes.note(ScramHash::Sha256, shape(4_096, 12));
        assert_eq!(shapes.usual(ScramHash::Sha256), Some(shape(4_096, 12)));
        shapes.note(ScramHash::Sha256, shape(16_384, 16));
        shapes.note(ScramHash::Sha256, shape(4_096, 12));
        assert_eq!(
            shapes.usual(ScramHash::Sha256),
            Some(shape(4_096, 12)),
            "most have it"
        );
        assert_eq!(shapes.usual(ScramHash::Sha1), None, "of another hash");
        for iterations in 0..100 {
            shapes.note(ScramHash::Sha1, shape(iterations, 16));
        }
        assert!(shapes.0.lock()[&ScramHash::Sha1].len() <= SHAPES_MAX);
    }
}
