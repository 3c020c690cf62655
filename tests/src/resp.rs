//! Where one RESP message ends and the next begins.

/// What ends a header line.
const LINE_END: &[u8] = b"\r\n";

/// Cuts a stream of bytes into messages, however they arrive: commands one way, replies the other.
#[derive(Default)]
pub(crate) struct Splitter {
    bytes: Vec<u8>,
}

impl Splitter {
    /// Takes what was read.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, once it is whole.
    pub(crate) fn next_message(&mut self) -> Option<Vec<u8>> {
        let length = message_len(&self.bytes)?;
        let rest = self.bytes.split_off(length);
        Some(std::mem::replace(&mut self.bytes, rest))
    }
}

/// The words of a command.
pub(crate) fn words(command: &[u8]) -> Vec<&[u8]> {
    let mut words = Vec::new();
    let mut rest = line(command).map_or(&[][..], |(_, rest)| rest);
    while let Some((header, body)) = line(rest) {
        let Some(word) = count(header).and_then(|length| body.get(..length)) else { break };
        words.push(word);
        rest = body.get(word.len() + LINE_END.len()..).unwrap_or_default();
    }
    words
}

/// Whether a message answers a command: pushes of RESP3 and published messages of RESP2 come by themselves.
pub(crate) fn is_reply(message: &[u8]) -> bool {
    let by_themselves: [&[u8]; 3] = [b">", b"*3\r\n$7\r\nmessage\r\n", b"*4\r\n$8\r\npmessage\r\n"];
    !by_themselves.iter().any(|start| message.starts_with(start))
}

/// How many bytes the first message has; nothing while it is not whole.
fn message_len(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut missing) = (0, 1);
    while missing > 0 {
        let (header, body) = line(bytes.get(at..)?)?;
        at = bytes.len() - body.len();
        missing -= 1;
        match (header.first(), count(header)) {
            (Some(b'$' | b'=' | b'!'), Some(length)) => at += length + LINE_END.len(),
            (Some(b'*' | b'~' | b'>'), Some(elements)) => missing += elements,
            (Some(b'%'), Some(pairs)) => missing += 2 * pairs,
            // Attributes stand before the message they belong to.
            (Some(b'|'), Some(pairs)) => missing += 2 * pairs + 1,
            _ => {}
        }
    }
    (at <= bytes.len()).then_some(at)
}

/// The first line, and what is behind it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.windows(LINE_END.len()).position(|window| window == LINE_END)?;
    Some((&bytes[..end], &bytes[end + LINE_END.len()..]))
}

/// The number in a header; nothing where it is -1, which stands for a nil.
fn count(header: &[u8]) -> Option<usize> {
    std::str::from_utf8(header.get(1..)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of every type, nested and with line ends in their data.
    const MESSAGES: [&[u8]; 20] = [
        b"*1\r\n$4\r\nPING\r\n",
        b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$5\r\na\r\n*9\r\n",
        b"*2\r\n$3\r\nGET\r\n$0\r\n\r\n",
        b"PING\r\n",
        b"+OK\r\n",
        b"-NOSCRIPT No matching script.\r\n",
        b":-1\r\n",
        b"$-1\r\n",
        b"*-1\r\n",
        b"*0\r\n",
        b"$2\r\n\r\n\r\n",
        b"*2\r\n*2\r\n:1\r\n$1\r\nx\r\n*0\r\n",
        b"_\r\n",
        b"#t\r\n",
        b",1.5\r\n",
        b"=7\r\ntxt:a\r\n\r\n",
        b"!5\r\nERR x\r\n",
        b"%2\r\n+a\r\n:1\r\n+b\r\n*1\r\n:2\r\n",
        b"|1\r\n+ttl\r\n:9\r\n$1\r\nx\r\n",
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n",
    ];

    #[test]
    fn messages_are_cut_apart_however_they_arrive() {
        let stream = MESSAGES.concat();
        for chunk in 1..=stream.len() {
            let mut splitter = Splitter::default();
            let mut seen = Vec::new();
            for bytes in stream.chunks(chunk) {
                splitter.feed(bytes);
                while let Some(message) = splitter.next_message() {
                    seen.push(message);
                }
            }
            assert_eq!(seen, MESSAGES, "in chunks of {chunk} bytes");
        }
    }

    #[test]
    fn a_message_is_not_given_out_before_its_last_byte() {
        for message in MESSAGES {
            for length in 0..message.len() {
                assert_eq!(message_len(&message[..length]), None, "{}", message[..length].escape_ascii());
            }
            assert_eq!(message_len(message), Some(message.len()), "{}", message.escape_ascii());
        }
    }

    #[test]
    fn a_command_is_read_word_by_word() {
        let check = |command: &[u8], expected: &[&[u8]]| assert_eq!(words(command), expected);
        check(MESSAGES[0], &[b"PING"]);
        check(MESSAGES[1], &[b"SET", b"k", b"a\r\n*9"]);
        check(MESSAGES[2], &[b"GET", b""]);
        check(b"", &[]);
    }

    #[test]
    fn what_comes_by_itself_is_no_reply() {
        let check = |message: &[u8], reply: bool| assert_eq!(is_reply(message), reply);
        check(b">2\r\n$10\r\ninvalidate\r\n*0\r\n", false);
        check(b"*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nx\r\n", false);
        check(b"*4\r\n$8\r\npmessage\r\n$1\r\np\r\n$1\r\nc\r\n$1\r\nx\r\n", false);
        check(b"*3\r\n$9\r\nsubscribe\r\n$1\r\nc\r\n:1\r\n", true);
        check(b"-ERR\r\n", true);
    }
}
