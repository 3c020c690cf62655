//! The compression around a call: the job field `data` (docs/wire.md §3, §4.1).

use std::{borrow::Cow, cell::RefCell};

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output, create_comp_flags_from_zip_params,
};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress, inflate_flags};

use crate::error::CodecError;

/// What Python's `zlib.compress` uses.
const LEVEL: i32 = 6;
/// With a zlib header, which any positive number asks for.
const WINDOW_BITS: i32 = 15;
/// zlib's default.
const STRATEGY: i32 = 0;

/// Room for what does not get smaller.
const ROOM_BYTES: usize = 64;

/// The header that Python writes, and one that says that the only block holds bytes as they are.
const HEADER: [u8; 2] = [0x78, 0x9c];
const ONE_STORED_BLOCK: u8 = 1;
/// Up to this many bytes are stored uncompressed: so few hardly get smaller, and Redis keeps the job's hash in its
/// compact form. It does so up to 64 bytes a value, 11 of which stand around the block. Compressing took a third of the
/// time that enqueueing such a job took.
const STORED_BYTES_MAX: usize = 53;

/// How far back a stream may refer to what it has given.
const WINDOW_BYTES: usize = 32 << 10;

/// Room for the inflated bytes at the start: so many times the deflated ones, but no more than this.
const FIRST_RATIO: usize = 4;
const FIRST_BYTES: usize = 64 << 10;

/// A zlib stream, all of it there, into one buffer that grows.
const FLAGS: u32 =
    inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER | inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;

thread_local! {
    /// To make one takes ten times as long as to compress a call. About 300 KB.
    static COMPRESSOR: RefCell<CompressorOxide> =
        RefCell::new(CompressorOxide::new(create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, STRATEGY)));
    /// About 11 KB, which coroutines would have to have on their stacks.
    static DECOMPRESSOR: RefCell<Box<DecompressorOxide>> = RefCell::default();
}

/// Compresses as Python does: level 6, header `78 9c`. Very short bytes are stored as they are, within such a stream.
pub fn deflate(bytes: &[u8]) -> Vec<u8> {
    match u8::try_from(bytes.len()) {
        Ok(len) if bytes.len() <= STORED_BYTES_MAX => store(bytes, len),
        _ => compress(bytes),
    }
}

fn store(bytes: &[u8], len: u8) -> Vec<u8> {
    let mut stored = Vec::with_capacity(bytes.len() + ROOM_BYTES);
    stored.extend(HEADER);
    // A stored block has its length twice, the second time inverted, of which inflaters make sure.
    stored.extend([ONE_STORED_BLOCK, len, 0, !len, 0xff]);
    stored.extend_from_slice(bytes);
    // Python's `zlib.decompress` checks it, and takes a stream without it for broken.
    stored.extend(adler2::adler32_slice(bytes).to_be_bytes());
    stored
}

fn compress(bytes: &[u8]) -> Vec<u8> {
    COMPRESSOR.with_borrow_mut(|compressor| {
        // In place of a new one, which would take ten times as long as the call's compression.
        compressor.reset();
        let mut deflated = Vec::with_capacity(bytes.len() + ROOM_BYTES);
        let (status, _) = compress_to_output(compressor, bytes, TDEFLFlush::Finish, |piece| {
            deflated.extend_from_slice(piece);
            true
        });
        assert_eq!(status, TDEFLStatus::Done, "compressing from memory to memory cannot fail");
        deflated
    })
}

/// Decompresses; bytes that are no complete zlib stream come back as they are, which is legal (docs/wire.md §3).
///
/// Like Python's `zlib.decompress`, it ignores bytes after the end of the stream. It never holds more than
/// `limit_bytes`.
///
/// # Errors
/// [`CodecError::TooLarge`] if there is more than `limit_bytes`, compressed or not.
pub fn inflate(bytes: &[u8], limit_bytes: usize) -> Result<Cow<'_, [u8]>, CodecError> {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        // Whatever the last payload left in it, an aborted stream included.
        decompressor.init();
        inflate_by(decompressor, bytes, limit_bytes)
    })
}

/// How many bytes [`inflate`] gives, without holding them; at most `limit_bytes`, where it stops.
pub fn inflated_len(bytes: &[u8], limit_bytes: usize) -> usize {
    DECOMPRESSOR.with_borrow_mut(|decompressor| {
        decompressor.init();
        // The buffer is the window alone, written over and over.
        let mut window = vec![0; WINDOW_BYTES];
        let (mut read, mut written) = (0, 0);
        loop {
            let at = written % WINDOW_BYTES;
            let flags = inflate_flags::TINFL_FLAG_PARSE_ZLIB_HEADER;
            let (status, read_now, written_now) =
                decompress(decompressor, &bytes[read..], &mut window, at, flags);
            read += read_now;
            written += written_now;
            match status {
                _ if written >= limit_bytes => return limit_bytes,
                TINFLStatus::HasMoreOutput => {}
                TINFLStatus::Done => return written,
                // They come back as they are.
                _ => return bytes.len().min(limit_bytes),
            }
        }
    })
}

fn inflate_by<'a>(
    decompressor: &mut DecompressorOxide,
    bytes: &'a [u8],
    limit_bytes: usize,
) -> Result<Cow<'a, [u8]>, CodecError> {
    // A guess that most calls fit in. A small payload that inflates to much gets its room in steps, up to the limit.
    let first = bytes.len().saturating_mul(FIRST_RATIO).clamp(1, FIRST_BYTES).min(limit_bytes);
    let mut inflated = vec![0; first];
    let (mut read, mut written) = (0, 0);
    loop {
        // The buffer is the window, too: so it grows, and is never emptied in between.
        let (status, read_now, written_now) =
            decompress(decompressor, &bytes[read..], &mut inflated, written, FLAGS);
        read += read_now;
        written += written_now;
        match status {
            TINFLStatus::Done => {
                inflated.truncate(written);
                return Ok(Cow::Owned(inflated));
            }
            TINFLStatus::HasMoreOutput if inflated.len() < limit_bytes => {
                // Doubled, so that all copies together take no longer than the bytes do.
                inflated.resize(inflated.len().saturating_mul(2).min(limit_bytes), 0);
            }
            TINFLStatus::HasMoreOutput => return Err(CodecError::TooLarge { limit_bytes }),
            // It breaks off, or is none.
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
        for len in [0, 1, 10, STORED_BYTES_MAX, STORED_BYTES_MAX + 1, 1000, 200_000, LIMIT_BYTES] {
            let bytes: Vec<u8> =
                (0..len).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
            let deflated = deflate(&bytes);
            assert_eq!(deflated[..2], HEADER);
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
    fn lengths_are_counted_without_the_bytes() {
        for len in [
            0,
            1,
            STORED_BYTES_MAX + 1,
            WINDOW_BYTES - 1,
            WINDOW_BYTES,
            WINDOW_BYTES + 1,
            200_000,
            LIMIT_BYTES,
        ] {
            let bytes: Vec<u8> =
                (0..len).map(|index| (index.wrapping_mul(0x9e37_79b9) >> 13) as u8).collect();
            for deflated in [deflate(&bytes), deflate(&vec![0; len])] {
                assert_eq!(inflated_len(&deflated, LIMIT_BYTES), len);
                assert_eq!(inflated_len(&deflated, 10), len.min(10));
                let broken = &deflated[..deflated.len() - 1];
                assert_eq!(inflated_len(broken, 1 << 30), broken.len(), "it comes back as it is");
            }
        }
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
