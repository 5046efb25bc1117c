//! A zip archive of texts, stored without compression, as log downloads want one.

/// Makes the archive. Names and texts must be shorter than 4 GiB together.
pub fn archive(files: &[(String, String)]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let offset = bytes.len() as u32;
        let mut common = Vec::new();
        // Version 2.0, names in UTF-8, stored, 1 January 1980.
        for field in [20_u16, 0x0800, 0, 0, 0x21] {
            common.extend(field.to_le_bytes());
        }
        for field in [crc32(text.as_bytes()), text.len() as u32, text.len() as u32] {
            common.extend(field.to_le_bytes());
        }
        common.extend((name.len() as u16).to_le_bytes());
        common.extend(0_u16.to_le_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(text.as_bytes());
        directory.extend(b"PK\x01\x02");
        directory.extend(20_u16.to_le_bytes());
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, count) = (bytes.len() as u32, files.len() as u16);
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend(count.to_le_bytes());
    bytes.extend(count.to_le_bytes());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend(0_u16.to_le_bytes());
    bytes
}

fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn the_archive_ends_with_its_directory() {
        let bytes = archive(&[("a/1_b.txt".into(), "hello".into())]);
        assert!(bytes.starts_with(b"PK\x03\x04"));
        // Header 30, name 9, text 5; directory entry 46 and 9; end 22.
        assert_eq!(bytes.len(), 30 + 9 + 5 + 46 + 9 + 22);
    }
}
