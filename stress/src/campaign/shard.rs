//! A part of a campaign: its rounds are dealt out in turns, so that any number of machines shares them.

use std::fmt;
use std::str::FromStr;

/// The `part`-th of `parts`, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shard {
    part: u64,
    parts: u64,
}

impl Shard {
    /// All of it.
    pub(crate) const WHOLE: Self = Self { part: 1, parts: 1 };

    /// The number, in the whole campaign, of the round that is this one in the shard.
    pub(crate) fn number(self, round: u64) -> u64 {
        round.saturating_mul(self.parts).saturating_add(self.part - 1)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| text.parse().ok();
        let shard = text.split_once('/').and_then(|(part, parts)| Some((number(part)?, number(parts)?)));
        match shard {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Self { part, parts }),
            _ => Err("give K/N, the K-th of N parts, such as 2/8".into()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.part, self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shards_of_a_campaign_have_each_round_once() {
        let mut rounds: Vec<u64> = (1..=3)
            .flat_map(|part| {
                let shard: Shard = format!("{part}/3").parse().expect("a shard");
                (0..4).map(move |round| shard.number(round))
            })
            .collect();
        rounds.sort_unstable();
        assert_eq!(rounds, (0..12).collect::<Vec<_>>());
        for text in ["0/3", "4/3", "1", "1/0", "a/b", ""] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
