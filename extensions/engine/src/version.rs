//! Versions of all that decides what a call does and burns.
//!
//! A replica that prices a call otherwise than the rest gives another answer to whoever runs out
//! of fuel. So the version is agreed state: operators name the proposal from which on another
//! one counts, and a build knows the old and the new. A build that is to know a new one gets it
//! here, next to those before, and every replica is given that build before the switch.

/// A version of engine, switches and prices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EngineVersion(u32);

/// What work costs that is not an instruction, in fuel, beside what the table of host calls says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prices {
    /// For each byte that passes between guest and host, in either direction.
    pub per_byte: u64,
    /// For each tuple that the host looked at to answer.
    pub per_tuple: u64,
}

impl EngineVersion {
    /// What a cluster begins with: wasmi 2.0.0 with the switches of `switches`.
    pub const FIRST: Self = Self(1);

    /// The same with tuples looked at for half the price: for programs that search.
    pub const SEARCHING: Self = Self(2);

    /// All that this build knows, ascending.
    pub const ALL: [Self; 2] = [Self::FIRST, Self::SEARCHING];

    /// The version with this number, if this build knows it.
    #[must_use]
    pub fn known(number: u64) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|version| u64::from(version.0) == number)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// What it charges.
    #[must_use]
    pub const fn prices(self) -> Prices {
        Prices {
            per_byte: 1,
            per_tuple: match self {
                Self(2) => 25,
                Self(_) => 50,
            },
        }
    }
}

impl Default for EngineVersion {
    fn default() -> Self {
        Self::FIRST
    }
}
