//! [`Text`]: text or bytes as they grow.

use rq_core::Value;

/// Text or bytes as they grow. Text is UTF-8 in which a lone surrogate takes three bytes, as in [`Value::Surrogates`].
pub(super) struct Text {
    pub(super) is_bytes: bool,
    bytes: Vec<u8>,
}

impl Text {
    pub(super) fn new(is_bytes: bool) -> Text {
        Text { is_bytes, bytes: Vec::new() }
    }

    /// Adds a character of the source; bytes take ASCII alone.
    pub(super) fn push(&mut self, c: char) -> Option<()> {
        if self.is_bytes && !c.is_ascii() {
            return None;
        }
        self.bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        Some(())
    }

    /// Adds what an escape named by number.
    pub(super) fn push_code(&mut self, code: u32) -> Option<()> {
        match char::from_u32(code) {
            // Bytes take octal escapes above 255 by their lowest byte, as Python does.
            _ if self.is_bytes => self.bytes.push((code & 0xff) as u8),
            Some(c) => self.push(c)?,
            None if code > 0x10_ffff => return None,
            // What is no character and not too large is a surrogate: three bytes, as in Python's `surrogatepass`.
            None => self.bytes.extend([0xed, 0x80 | (code >> 6 & 0x3f) as u8, 0x80 | (code & 0x3f) as u8]),
        }
        Some(())
    }

    pub(super) fn joined_with(mut self, other: Text) -> Option<Text> {
        self.bytes.extend(other.bytes);
        (self.is_bytes == other.is_bytes).then_some(self)
    }

    pub(super) fn into_value(self) -> Value {
        match self.is_bytes {
            true => Value::Bytes(self.bytes),
            false => match String::from_utf8(self.bytes) {
                Ok(text) => Value::Str(text),
                Err(error) => Value::Surrogates(error.into_bytes()),
            },
        }
    }
}
