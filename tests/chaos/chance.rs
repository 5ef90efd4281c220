//! Numbers that the seed decides.

/// One stream of them (`SplitMix64`).
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The `n`th stream of a kind: what is drawn from one shifts no other, whatever the time does.
    pub(crate) fn stream(seed: u64, kind: u64, n: u64) -> Self {
        let mut start = Self(seed ^ kind.wrapping_mul(0xa076_1d64_78bd_642f));
        Self(start.next() ^ n.wrapping_mul(0xe703_7ed1_a0b4_28db))
    }

    /// From 0 to below `n`; that some are a little more likely does not matter here.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }

    /// From `least` to below `end`.
    pub(crate) fn between(&mut self, least: u64, end: u64) -> u64 {
        least + self.below(end - least)
    }

    /// Whether what happens in so many of a thousand cases happens now.
    pub(crate) fn happens(&mut self, of_thousand: u64) -> bool {
        self.below(1_000) < of_thousand
    }

    /// The place of one of so many.
    pub(crate) fn place(&mut self, count: usize) -> usize {
        let place = self.below(u64::try_from(count).expect("a number"));
        usize::try_from(place).expect("a number")
    }

    /// One of them, each as likely.
    pub(crate) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.place(from.len())]
    }

    /// One of them, as likely as its weight has it.
    pub(crate) fn weigh<T: Copy>(&mut self, from: &[(u64, T)]) -> T {
        let mut at = self.below(from.iter().map(|(weight, _)| weight).sum());
        for (weight, what) in from {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return *what,
            }
        }
        unreachable!("it is below the sum of the weights")
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[test]
fn the_same_stream_draws_the_same_and_weights_are_kept() {
    let drawn = |kind, n| {
        let mut chance = Chance::stream(7, kind, n);
        (0..100).map(|_| chance.below(1_000)).collect::<Vec<_>>()
    };
    assert_eq!(drawn(1, 2), drawn(1, 2));
    assert_ne!(drawn(1, 2), drawn(2, 1));
    let mut chance = Chance::new(7);
    let heavy = (0..1_000).filter(|_| chance.weigh(&[(9, true), (1, false)])).count();
    assert!((850..950).contains(&heavy), "{heavy}");
}
