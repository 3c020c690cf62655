//! The compression around a call: the job field `data` (wire spec §3, §4.1).

use std::{borrow::Cow, cell::RefCell};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::CodecError;

/// What Python's `zlib.compress` uses.
const LEVEL: u32 = 6;

/// Room for what does not get smaller, and for more where that was too little.
const ROOM_BYTES: usize = 64;

/// Room for the inflated bytes at the start: so many times the deflated ones, but no more than this.
const FIRST_RATIO: usize = 4;
const FIRST_BYTES: usize = 64 << 10;

thread_local! {
    /// To make one takes ten times as long as to compress a call. About 300 KB.
    static COMPRESS: RefCell<Compress> = RefCell::new(Compress::new(Compression::new(LEVEL), true));
    /// To make one takes 43 KB of stack, and as much of each coroutine that decodes its call. As large on the heap.
    static DECOMPRESS: RefCell<Decompress> = RefCell::new(Decompress::new(true));
}

/// Compresses as Python does: level 6, header `78 9c`.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    COMPRESS.with_borrow_mut(|stream| {
        stream.reset();
        let mut deflated = Vec::with_capacity(bytes.len() + ROOM_BYTES);
        loop {
            let read = stream.total_in() as usize;
            match stream.compress_vec(&bytes[read..], &mut deflated, FlushCompress::Finish) {
                Ok(Status::StreamEnd) => return deflated,
                Ok(Status::Ok | Status::BufError) => deflated.reserve(ROOM_BYTES),
                Err(_) => unreachable!("compressing from memory to memory cannot fail"),
            }
        }
    })
}

/// Decompresses; bytes that are no complete zlib stream come back as they are, which is legal (wire spec §3).
///
/// Like Python's `zlib.decompress`, it ignores bytes after the end of the stream. It never holds much more than
/// `limit_bytes`.
///
/// # Errors
/// [`CodecError::TooLarge`] if there is more than `limit_bytes`, compressed or not.
pub fn inflate(bytes: &[u8], limit_bytes: usize) -> Result<Cow<'_, [u8]>, CodecError> {
    DECOMPRESS.with_borrow_mut(|stream| {
        stream.reset(true);
        inflate_by(stream, bytes, limit_bytes)
    })
}

fn inflate_by<'a>(
    stream: &mut Decompress,
    bytes: &'a [u8],
    limit_bytes: usize,
) -> Result<Cow<'a, [u8]>, CodecError> {
    let first = bytes.len().saturating_mul(FIRST_RATIO).min(FIRST_BYTES).min(limit_bytes);
    // One byte beyond the limit shows that there is more.
    let mut inflated = Vec::with_capacity(first + 1);
    loop {
        let (read, written) = (stream.total_in(), stream.total_out());
        let status = stream.decompress_vec(&bytes[read as usize..], &mut inflated, FlushDecompress::None);
        let is_full = inflated.len() == inflated.capacity();
        let is_stuck = (read, written) == (stream.total_in(), stream.total_out());
        match status {
            _ if inflated.len() > limit_bytes => return Err(CodecError::TooLarge { limit_bytes }),
            Ok(Status::StreamEnd) => return Ok(Cow::Owned(inflated)),
            Ok(Status::Ok | Status::BufError) if is_full => {
                let more = inflated.len().min(limit_bytes - inflated.len() + 1);
                inflated.reserve_exact(more);
            }
            Ok(Status::Ok | Status::BufError) if !is_stuck => {}
            // All is read and the stream has not ended, or it is none.
            _ if bytes.len() > limit_bytes => return Err(CodecError::TooLarge { limit_bytes }),
            _ => return Ok(Cow::Borrowed(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_BYTES: usize = 1 << 20;

    #[test]
    fn what_is_deflated_inflates() {
        for len in [0, 1, 10, 1000, 200_000, LIMIT_BYTES] {
            let bytes: Vec<u8> =
                (0..len).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
            let deflated = deflate(&bytes);
            assert_eq!(&deflated[..2], b"\x78\x9c");
            assert!(inflate(&deflated, LIMIT_BYTES) == Ok(Cow::Owned(bytes)), "{len} bytes");
        }
    }

    #[test]
    fn other_bytes_come_back() {
        let deflated = deflate(b"hello hello hello");
        let gzip = b"\x1f\x8b\x08\0\0\0\0\0";
        let with_dictionary = b"\x78\xbb\0\0\0\0";
        for bytes in [&b""[..], b"x", b"\x80\x05N.", &deflated[..deflated.len() - 1], gzip, with_dictionary] {
            assert_eq!(inflate(bytes, LIMIT_BYTES), Ok(Cow::Borrowed(bytes)));
        }
        let mut damaged = deflated;
        *damaged.last_mut().expect("not empty") ^= 1;
        assert_eq!(inflate(&damaged, LIMIT_BYTES), Ok(Cow::Borrowed(&damaged[..])));
    }

    #[test]
    fn bytes_after_the_end_are_ignored() {
        let mut deflated = deflate(b"hello");
        deflated.extend(b"junk");
        assert_eq!(inflate(&deflated, LIMIT_BYTES).as_deref(), Ok(&b"hello"[..]));
    }

    #[test]
    fn the_limit_holds() {
        let error = Err(CodecError::TooLarge { limit_bytes: 10 });
        assert_eq!(inflate(&deflate(&[0; 10]), 10).as_deref(), Ok(&[0; 10][..]));
        assert_eq!(inflate(&deflate(&[0; 11]), 10), error);
        assert_eq!(inflate(b"eleven byte", 10), error);
        assert_eq!(inflate(b"", 0), Ok(Cow::Borrowed(&b""[..])));
        let bomb = deflate(&vec![0; 32 << 20]);
        assert!(bomb.len() < 40 << 10);
        assert_eq!(inflate(&bomb, LIMIT_BYTES), Err(CodecError::TooLarge { limit_bytes: LIMIT_BYTES }));
    }
}
