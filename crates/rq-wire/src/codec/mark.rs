//! The bytes that our bincode begins with, by which it is distinguished from the other codecs.

/// The first bytes of all we write with bincode, which no other codec begins with. The last one is our version.
pub(super) const BINCODE: [u8; 4] = [0xb1, b'r', b'q', 1];

/// Whether our mark stands in front, of any version.
pub(super) fn is_bincode(bytes: &[u8]) -> bool {
    bytes.starts_with(&BINCODE[..3])
}
