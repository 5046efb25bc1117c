//! What the physical path's answers mean: which buckets differ, which blocks, which row versions; and the proof that no
//! difference of a bucket was overlooked.

use std::collections::BTreeMap;

use super::ask::rows::Place;

/// Count and fingerprint of a bucket of blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bucket {
    pub rows: u64,
    /// XOR of the fingerprints of its row versions.
    pub h: i64,
}

/// Buckets by number; an empty one may be missing.
pub type Buckets = BTreeMap<u64, Bucket>;

/// A visible row version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    pub place: Place,
    pub xmin: u32,
    pub h: i64,
}

/// Blocks of a bucket: as many as keep the number of buckets below about 8000, at least 64.
pub fn width(blocks: u64) -> u64 {
    (blocks / 8_192).next_power_of_two().max(64)
}

/// Numbers of the buckets that differ.
pub fn differing(live: &Buckets, restored: &Buckets) -> Vec<u64> {
    let mut all: Vec<u64> = live.keys().chain(restored.keys()).copied().collect();
    all.sort_unstable();
    all.dedup();
    let of = |buckets: &Buckets, n| buckets.get(&n).copied().unwrap_or_default();
    all.retain(|n| of(live, *n) != of(restored, *n));
    all
}

/// Numbers of the blocks whose two bytes differ, of one bucket. Where the lengths differ or nothing came, all blocks.
pub fn differing_blocks(bucket: u64, width: u64, live: &[u8], restored: &[u8]) -> Vec<u64> {
    let first = bucket * width;
    if live.len() != restored.len() || live.len() as u64 != 2 * width {
        return (first..first + width).collect();
    }
    let pairs = live.chunks(2).zip(restored.chunks(2));
    (first..).zip(pairs).filter(|(_, (l, r))| l != r).map(|(block, _)| block).collect()
}

/// Reads the 14-byte records of a block; `None` if they are not whole.
pub fn versions(block: u64, packed: &[u8]) -> Option<Vec<Version>> {
    let block = u32::try_from(block).ok()?;
    if !packed.len().is_multiple_of(14) {
        return None;
    }
    packed
        .chunks(14)
        .map(|record| {
            let (offset, rest) = record.split_first_chunk::<2>()?;
            let (xmin, h) = rest.split_first_chunk::<4>()?;
            Some(Version {
                place: (block, u16::from_be_bytes(*offset)),
                xmin: u32::from_be_bytes(*xmin),
                h: i64::from_be_bytes(h.try_into().ok()?),
            })
        })
        .collect()
}

/// Reads the 6 bytes of a ctid.
pub fn place(packed: &[u8]) -> Option<Place> {
    let (block, offset) = packed.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*block), u16::from_be_bytes(offset.try_into().ok()?)))
}

/// Row versions that only one side sees.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OnlyOn {
    pub live: Vec<Version>,
    pub restored: Vec<Version>,
}

/// Takes away what both sides see in the same blocks.
pub fn apart(live: Vec<Version>, restored: Vec<Version>) -> OnlyOn {
    let sorted = |mut all: Vec<Version>| {
        all.sort_unstable();
        all
    };
    let (live, restored) = (sorted(live), sorted(restored));
    let without = |these: &[Version], those: &[Version]| {
        these.iter().filter(|v| those.binary_search(v).is_err()).copied().collect()
    };
    OnlyOn { live: without(&live, &restored), restored: without(&restored, &live) }
}

/// True if the differences found explain the whole difference between the two buckets.
pub fn proven(live: Bucket, restored: Bucket, found: &OnlyOn) -> bool {
    let xor = |all: &[Version]| all.iter().fold(0, |h, v| h ^ v.h);
    let counted = |bucket: Bucket, only: &[Version]| bucket.rows.checked_sub(only.len() as u64);
    (live.h ^ restored.h) == (xor(&found.live) ^ xor(&found.restored))
        && counted(live, &found.live).is_some()
        && counted(live, &found.live) == counted(restored, &found.restored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(block: u32, offset: u16, xmin: u32) -> Version {
        Version {
            place: (block, offset),
            xmin,
            h: i64::from(block) << 32 | i64::from(offset) << 16 | i64::from(xmin),
        }
    }

    fn bucket(of: &[Version]) -> Bucket {
        Bucket { rows: of.len() as u64, h: of.iter().fold(0, |h, v| h ^ v.h) }
    }

    #[test]
    fn what_both_see_goes_and_the_rest_is_proven() {
        let both = [version(1, 1, 700), version(1, 2, 700)];
        let live = [&both[..], &[version(1, 4, 900)]].concat();
        let restored = [&both[..], &[version(1, 3, 700)]].concat();
        let found = apart(live.clone(), restored.clone());
        assert_eq!((found.live.as_slice(), found.restored.as_slice()), (&live[2..], &restored[2..]));
        assert!(proven(bucket(&live), bucket(&restored), &found));
        let blind = OnlyOn { restored: vec![], ..found.clone() };
        assert!(!proven(bucket(&live), bucket(&restored), &blind), "a lost row was overlooked");
        assert!(!proven(bucket(&live), bucket(&restored), &OnlyOn::default()));
    }

    #[test]
    fn the_same_place_written_by_another_is_another_version() {
        let found = apart(vec![version(1, 1, 701)], vec![version(1, 1, 700)]);
        assert_eq!((found.live.len(), found.restored.len()), (1, 1));
    }

    #[test]
    fn empty_and_missing_buckets_are_the_same() {
        let a = Buckets::from([(0, Bucket { rows: 1, h: 5 }), (2, Bucket::default())]);
        let b = Buckets::from([(0, Bucket { rows: 1, h: 5 }), (3, Bucket { rows: 2, h: 0 })]);
        assert_eq!(differing(&a, &b), [3], "two rows that cancel are still counted");
    }

    #[test]
    fn blocks_are_found_by_two_bytes_or_all_are_read() {
        assert_eq!(differing_blocks(2, 3, &[0, 0, 1, 1, 2, 2], &[0, 0, 1, 0, 2, 2]), [7]);
        assert_eq!(differing_blocks(2, 3, &[], &[0, 0, 1, 0, 2, 2]), [6, 7, 8]);
    }

    #[test]
    fn records_are_read_whole_or_not() {
        let packed = [0, 3, 0, 0, 2, 188, 255, 255, 255, 255, 255, 255, 255, 254];
        assert_eq!(versions(9, &packed).unwrap(), [Version { place: (9, 3), xmin: 700, h: -2 }]);
        assert!(versions(9, &packed[1..]).is_none());
        assert_eq!(versions(9, &[]).unwrap(), []);
    }

    #[test]
    fn wide_tables_get_wide_buckets() {
        assert_eq!((width(0), width(260_000), width(13_000_000)), (64, 64, 2_048));
    }
}
