//! Where a model's choices come from: a seed (simulation, properties) or a fuzzer's bytes.

/// A source of choices. The same source gives the same choices.
pub trait Choose {
    /// The next number below `n`; 0 when `n` is 0 or 1.
    fn below(&mut self, n: u64) -> u64;

    /// A number in `least..=most`.
    fn within(&mut self, least: u64, most: u64) -> u64 {
        least + self.below(most - least + 1)
    }

    /// True in `percent` of 100 cases.
    fn chance(&mut self, percent: u64) -> bool {
        percent > 0 && self.below(100) < percent
    }

    /// One of `all`.
    fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize].clone()
    }
}

/// SplitMix64: small, and good enough to choose with.
#[derive(Clone, Debug)]
pub struct Seed(pub u64);

impl Choose for Seed {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n.max(1)
    }
}

/// A fuzzer's input, used up byte by byte; behind its end every choice is the first.
#[derive(Clone, Debug)]
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    /// Whether there is anything left to choose with.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next bytes as they are: a length, and so many, or as many as there are.
    pub fn piece(&mut self) -> Vec<u8> {
        let length = self.below(256) as usize;
        let (piece, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        piece.to_vec()
    }
}

impl Choose for Bytes<'_> {
    fn below(&mut self, n: u64) -> u64 {
        let width = match n {
            0 | 1 => return 0,
            2..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            _ => 8,
        };
        let (head, rest) = self.0.split_at(width.min(self.0.len()));
        self.0 = rest;
        head.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)) % n
    }
}
