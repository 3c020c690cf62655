//! Plain data in Python's pickle.
//!
//! A pickle is a program for a stack machine. Ours runs every opcode of protocols 0 to 5, but calls nothing: of the
//! names a pickle may mention it knows those of a few types of the standard library, and rebuilds their values
//! itself. Any other object stays a name, and is refused with it once the payload proves to hold it.
//!
//! | file | holds |
//! |---|---|
//! | `pickle/opcode.rs` | the opcodes by name |
//! | `pickle/direct.rs` | the short way, for built-in types that share nothing |
//! | `pickle/decode.rs` | the stack machine |
//! | `pickle/resolve.rs` | what the machine built, with its shared references, as a [`Value`] |
//! | `pickle/stdlib.rs` | `datetime`, `decimal`, `uuid` and the built-in types |
//! | `pickle/zones.rs` | time zones by name |
//! | `pickle/text.rs` | protocol 0's text and numbers |
//! | `pickle/encode.rs` | the writer |

use crate::error::CodecError;
use crate::{payload::Payload, value::Value};

mod decode;
mod direct;
mod encode;
mod opcode;
mod resolve;
mod stdlib;
mod text;
mod zones;

pub(super) use encode::{encode, encode_payload};
pub(super) use opcode::{MARK, PROTO, STOP};

use decode::Machine;

/// The value a pickle of any protocol holds.
///
/// As in Python, what follows the opcode STOP is ignored. Protocol 0's byte strings, which only Python 2 writes,
/// are text if ASCII and bytes if not.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, CodecError> {
    match direct::decode(bytes) {
        Some(value) => Ok(value),
        None => decode_any(bytes),
    }
}

/// The same by the machine.
fn decode_any(bytes: &[u8]) -> Result<Value, CodecError> {
    let (machine, root) = Machine::run(bytes)?;
    machine.resolve(root)
}

/// The call a pickle holds. An instance to call it on is refused by the name of its class.
pub(super) fn decode_payload(bytes: &[u8]) -> Result<Payload, CodecError> {
    if let Some(value) = direct::decode(bytes) {
        return Payload::from_value(value);
    }
    let (machine, root) = Machine::run(bytes)?;
    // Before resolving, which would refuse the instance as any value that is not plain.
    if let Some(class) = machine.instance_class(root) {
        return Err(CodecError::Instance { class });
    }
    Payload::from_value(machine.resolve(root)?)
}

#[cfg(test)]
mod tests {
    use num_bigint::BigInt;
    use proptest::prelude::*;

    use super::*;
    use crate::{
        codec::{
            limits::{MAX_INT_BYTES, MAX_PAYLOAD_BYTES, TOO_MANY},
            samples,
        },
        value::MAX_DEPTH,
    };

    #[track_caller]
    fn check(pickle: &[u8], repr: &str) {
        assert_eq!(decode(pickle).map(|value| value.repr()).as_deref(), Ok(repr));
        assert_eq!(decode_any(pickle).map(|value| value.repr()).as_deref(), Ok(repr));
    }

    #[track_caller]
    fn refused(pickle: &[u8], error: CodecError) {
        assert_eq!(direct::decode(pickle), None);
        assert_eq!(decode(pickle), Err(error));
    }

    #[track_caller]
    fn unreadable(pickle: &[u8], offset: usize, reason: &'static str) {
        refused(pickle, CodecError::Pickle { offset, reason: reason.into() });
    }

    #[track_caller]
    fn not_plain(pickle: &[u8], class: &str) {
        refused(pickle, CodecError::NotPlain { class: class.to_owned() });
    }

    #[test]
    fn the_smallest_call() {
        let pickle = b"\x80\x02(X\x09\0\0\0tasks.addN](K\x05K\x06e}t.";
        let call = decode_payload(pickle).expect("a call");
        assert_eq!(call.description(), "tasks.add(5, 6)");
        let ours = b"\x80\x04(\x8c\x09tasks.addNK\x05K\x06\x86}t.";
        assert_eq!(encode_payload(&call).as_deref(), Ok(&ours[..]));
    }

    #[test]
    fn protocol_0() {
        check(b"I01\n.", "True");
        check(b"I00\n.", "False");
        check(b"I1\n.", "1");
        check(b"I9223372036854775808\n.", "9223372036854775808");
        check(b"L-5L\n.", "-5");
        check(b"F-inf\n.", "-inf");
        check(b"S'a\\n\\xc3'\n.", "b'a\\n\\xc3'");
        check(b"S\"it's\"\n.", "\"it's\"");
        check(b"V\\u2603 \xe9\n.", "'\u{2603} \u{e9}'");
        check(b"U\x02ab.", "'ab'");
        check(b"T\x02\0\0\0a\xff.", "b'a\\xff'");
        check(b"(I1\nI2\nl.", "[1, 2]");
        check(b"(I1\nI2\nd.", "{1: 2}");
        check(b"(lp0\nI1\na(g0\ng0\nt.", "([1], [1])");
        check(b"c__builtin__\nset\n((lp0\nI1\natR.", "{1}");
        check(b"c_codecs\nencode\n(V\\u00e9\nVlatin1\ntR.", "b'\\xe9'");
        check(b"ccopy_reg\n_reconstructor\n(cuuid\nUUID\nc__builtin__\nobject\nNtR(dVint\nL5L\nsb.", UUID_5);
    }

    const UUID_5: &str = "UUID('00000000-0000-0000-0000-000000000005')";

    #[test]
    fn the_stack_and_the_memo() {
        check(b"NK\x010.", "None");
        check(b"N(K\x01K\x021.", "None");
        check(b"N(0.", "None");
        check(b"(K\x012t.", "(1, 1)");
        check(b"]q\x01K\x05a0h\x01.", "[5]");
        check(b"]r\x01\0\0\0K\x05a0j\x01\0\0\0.", "[5]");
        // A list that is filled after it was memoised is filled everywhere.
        check(b"\x80\x04](]\x94h\0h\0K\x07ae.", "[[], [], [7]]".replace("[]", "[7]").as_str());
        check(b"\x80\x04K\x01.trailing", "1");
        check(b"\x80\x04\x95\x02\0\0\0\0\0\0\0N..", "None");
        check(b"}(\x8c\x01aK\x01\x8c\x01bK\x02\x8c\x01aK\x03u.", "{'a': 3, 'b': 2}");
    }

    #[test]
    fn stdlib_values() {
        let call = |module: &str, name: &str, args: &[u8]| {
            [format!("c{module}\n{name}\n").as_bytes(), args, b"R."].concat()
        };
        // With fold, which is dropped.
        check(&call("datetime", "datetime", b"C\x0a\x07\xe8\x81\x02\x03\x04\0\0\0\0\x85"), DATE_TIME);
        // The state as text of Python 2.
        check(&call("datetime", "datetime", b"V\x07\xe8\x01\x02\x03\x04\0\0\0\0\n\x85"), DATE_TIME);
        check(&call("datetime", "datetime", b"U\x0a\x07\xe8\x01\x02\x03\x04\0\0\0\0N\x86"), DATE_TIME);
        check(&call("datetime", "time", b"C\x06\x83\x04\0\0\0\0\x85"), "datetime.time(3, 4)");
        check(&call("datetime", "timedelta", b"J\xff\xff\xff\xffK\0K\0\x87"), "datetime.timedelta(days=-1)");
        let zone = b"C\x0a\x07\xe8\x01\x02\x03\x04\0\0\0\0cdatetime\nUTC\n\x86";
        let utc = DATE_TIME.replace("4)", "4, tzinfo=datetime.timezone.utc)");
        check(&call("datetime", "datetime", zone), &utc);
        for digits in ["0", "-1.10", "1E+5", "0E-7", "Infinity", "-sNaN123", ".5"] {
            let args = [&[b'U', digits.len() as u8], digits.as_bytes(), b"\x85"].concat();
            check(&call("decimal", "Decimal", &args), &format!("Decimal('{digits}')"));
        }
        check(b"\x80\x02cuuid\nUUID\n)\x81}(X\x07\0\0\0is_safeNX\x03\0\0\0intK\x05ub.", UUID_5);
        check(b"\x80\x04\x8c\x04uuid\x8c\x04UUID\x93)}\x92}\x8c\x03intK\x05sb.", UUID_5);
        check(&call("builtins", "bytearray", b"C\x02ab\x85"), "b'ab'");
        check(&call("__builtin__", "bytes", b")"), "b''");
        check(&call("builtins", "frozenset", b"(K\x01K\x02t\x85"), "frozenset({1, 2})");
        check(&call("builtins", "int", b"K\x05\x85"), "5");
    }

    const DATE_TIME: &str = "datetime.datetime(2024, 1, 2, 3, 4)";

    /// What Python 3.11 writes in protocols 0 to 4, of a class and of its instance.
    #[test]
    fn a_method_is_refused_by_the_name_of_its_class() {
        let bound = b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x05tasks\x8c\x04Calc\x93)\x81\x8c\x04plus\x86R.";
        not_plain(bound, "tasks.Calc");
        not_plain(b"c__builtin__\ngetattr\n(ctasks\nCalc\nVmake\ntR.", "tasks.Calc");
        not_plain(b"c__builtin__\ngetattr\n(cuuid\nUUID\nVmake\ntR.", "uuid.UUID");
        not_plain(b"c__builtin__\ngetattr\n(]Vappend\ntR.", "builtins.getattr");
        unreadable(b"c__builtin__\ngetattr\n(]tR.", 24, "`builtins.getattr` with arguments it does not take");
    }

    #[test]
    fn times_in_zones_by_name_are_read_with_their_offset() {
        let check = |month: u8, zone: &[u8], offset: &str| {
            let state =
                [b"\x80\x04cdatetime\ndatetime\nC\x0a\x07\xe8", &[month][..], b"\x1b\x02\x1e\0\0\0\0"]
                    .concat();
            let value = decode(&[&state, zone, b"\x86R."].concat()).map(|value| value.text());
            let month = month & 0x7f;
            assert_eq!(
                value,
                Ok(Some(format!("2024-{month:02}-27T02:30:00{offset}"))),
                "{}",
                zone.escape_ascii()
            );
        };
        let zone_info =
            b"c__builtin__\ngetattr\n(czoneinfo\nZoneInfo\nV_unpickle\ntR(VEurope/Berlin\nI01\ntR";
        check(7, zone_info, "+02:00");
        check(1, zone_info, "+01:00");
        check(7, b"\x8c\x08zoneinfo\x8c\x12ZoneInfo._unpickle\x93\x8c\x03UTCK\x01\x86R", "+00:00");
        check(7, b"cpytz\n_UTC\n)R", "+00:00");
        check(7, b"cpytz\nFixedOffset\nJ\xa6\xff\xff\xff\x85R", "-01:30");
        check(7, b"cpytz\n_p\n(VEurope/Berlin\nM\x20\x1cM\x10\x0eVCEST\ntR", "+02:00");
        check(7, b"cpytz\n_p\nVEtc/GMT+5\n\x85R", "-05:00");
        check(7, b"cdateutil.tz.tz\ntzutc\n)R", "+00:00");
        let tz_offset = b"cdateutil.tz.tz\ntzoffset\n(VX\ncdatetime\ntimedelta\nK\0M\x10\x0eK\0\x87RtR";
        check(7, tz_offset, "+01:00");
        check(7, b"cdateutil.tz.tz\ntzfile\n(NV/usr/share/zoneinfo/Europe/Berlin\ntR}VX\nK\x01sb", "+02:00");
        let zone = |zone: &[u8]| {
            [b"cdatetime\ndatetime\nC\x0a\x07\xe8\x01\x02\x03\x04\0\0\0\0", zone, b"\x86R."].concat()
        };
        not_plain(&zone(b"cpytz\n_p\nVMars/Base\n\x85R"), "pytz._p of an unknown zone");
        not_plain(&zone(b"cdateutil.tz.tz\ntzlocal\n)\x81}VX\nK\x01sb"), "dateutil.tz.tz.tzlocal");
    }

    /// An hour that a zone has twice, and one that it has not: as Python, by the fold of the reading.
    #[test]
    fn the_fold_of_a_reading_decides_between_two_offsets() {
        let check = |state: &[u8], text: &str| {
            let zone = b"czoneinfo\nZoneInfo._unpickle\n(VEurope/Berlin\nI01\ntR\x86R.";
            let value = decode(&[b"\x80\x04cdatetime\ndatetime\nC\x0a", state, zone].concat());
            assert_eq!(value.map(|value| value.text()), Ok(Some(text.to_owned())));
        };
        check(b"\x07\xe8\x0a\x1b\x02\x1e\0\0\0\0", "2024-10-27T02:30:00+02:00");
        check(b"\x07\xe8\x8a\x1b\x02\x1e\0\0\0\0", "2024-10-27T02:30:00+01:00");
        check(b"\x07\xe8\x03\x1f\x02\x1e\0\0\0\0", "2024-03-31T02:30:00+01:00");
        check(b"\x07\xe8\x83\x1f\x02\x1e\0\0\0\0", "2024-03-31T02:30:00+02:00");
    }

    #[test]
    fn the_short_way_reads_what_shares_nothing_but_text() {
        let check = |pickle: &[u8], is_short: bool| {
            assert!(decode_any(pickle).is_ok());
            assert_eq!(direct::decode(pickle).is_some(), is_short, "{}", pickle.escape_ascii());
        };
        // As Python 3.11 writes it: `('f', None, ([{'k': 'k'}, 2**70],), {'k': b'b'})`.
        let pythons = b"\x80\x05\x95,\x00\x00\x00\x00\x00\x00\x00(\x8c\x01f\x94N]\x94(}\x94\
            \x8c\x01k\x94h\x03s\x8a\x09\x00\x00\x00\x00\x00\x00\x00\x00@e\x85\x94}\x94h\x03C\x01b\x94st\x94.";
        check(pythons, true);
        check(b"\x80\x04](\x8c\x01k\x94h\0e.", true);
        check(b"](]\x94h\0e.", false);
        check(b"cdatetime\ndate\n(C\x04\x07\xe8\x01\x02tR.", false);
        // A dict in two batches, with a key in both.
        check(b"}(\x8c\x01aK\x01u(\x8c\x01aK\x02u.", true);
        assert_eq!(decode(b"}(\x8c\x01aK\x01u(\x8c\x01aK\x02u.").expect("a dict").repr(), "{'a': 2}");
    }

    /// 20,000 rows of a table, as Python writes them, and 8 MB of the smallest values.
    #[test]
    fn large_plain_data_is_read() {
        let row = b"}\x94(\x8c\x02idMB\x42\x8c\x04nameX\x09\0\0\0customer \
            \x8c\x05totalG\x40\x09\x21\xfb\x54\x44\x2d\x18\x8c\x04tags](\x8c\x01a\x8c\x01beu";
        let rows = [&b"\x80\x04]("[..], &row.repeat(20_000), b"e."].concat();
        assert!(matches!(decode(&rows), Ok(Value::List(rows)) if rows.len() == 20_000));
        let numbers = [&b"\x80\x04]("[..], &b"K\x01".repeat(4_000_000 - 10), b"e."].concat();
        assert!(matches!(decode(&numbers), Ok(Value::List(numbers)) if numbers.len() == 4_000_000 - 10));
    }

    #[test]
    fn nothing_is_ever_called() {
        not_plain(b"cos\nsystem\n(S'true'\ntR.", "os.system");
        not_plain(b"cposix\nsystem\n.", "posix.system");
        not_plain(b"c__builtin__\neval\n(Vexit()\ntR.", "builtins.eval");
        not_plain(b"(itasks\nCalc\nI1\nb.", "tasks.Calc");
        not_plain(b"(I1\nitasks\nCalc\n.", "tasks.Calc");
        not_plain(b"(ctasks\nCalc\nI1\no.", "tasks.Calc");
        not_plain(
            b"ccopy_reg\n_reconstructor\n(ctasks\nCalc\nc__builtin__\nobject\nNtR(dVbase\nI1\nsb.",
            "tasks.Calc",
        );
        not_plain(b"cdatetime\ndatetime\n.", "datetime.datetime");
        not_plain(
            b"cdatetime\ntime\n(C\x06\x03\x04\0\0\0\0cdatetime\nUTC\ntR.",
            "datetime.time with a time zone",
        );
        let zone = b"cdatetime\ndatetime\n(C\x0a\x07\xe8\x01\x02\x03\x04\0\0\0\0cmine\nZone\n)RtR.";
        not_plain(zone, "mine.Zone");
        // What is not in the result does no harm.
        check(b"cos\nsystem\n(S'true'\ntR0N.", "None");
    }

    #[test]
    fn an_instance_to_call_a_method_of_is_named() {
        let pickle =
            b"\x80\x04(\x8c\x04plus\x8c\x05tasks\x8c\x04Calc\x93)\x81}\x8c\x04baseK\x0asbK\x05\x85}t.";
        assert_eq!(decode_payload(pickle), Err(CodecError::Instance { class: "tasks.Calc".to_owned() }));
        let pickle = b"\x80\x04(\x8c\x04plus]NaK\x05\x85}t.";
        assert_eq!(decode_payload(pickle), Err(CodecError::Instance { class: "list".to_owned() }));
        let pickle = b"\x80\x04(\x8c\x04plusN\x8c\x05tasks\x8c\x04Calc\x93\x85}t.";
        assert_eq!(decode_payload(pickle), Err(CodecError::NotPlain { class: "tasks.Calc".to_owned() }));
        assert!(matches!(decode_payload(b"\x80\x04N."), Err(CodecError::Shape { .. })));
    }

    #[test]
    fn what_only_python_understands() {
        unreadable(b"\x80\x06N.", 0, "protocol 6 is newer than 5");
        unreadable(b"P1\n.", 0, "persistent ids mean something to Python only");
        unreadable(b"NQ.", 1, "persistent ids mean something to Python only");
        unreadable(b"\x82\x01.", 0, "extension codes mean something to Python only");
        unreadable(b"\x80\x05\x97.", 2, "out-of-band buffers are not in the payload");
        unreadable(b"\xff", 0, "there is no opcode 0xff");
    }

    #[test]
    fn broken_programs() {
        unreadable(b".", 0, "nothing on the stack");
        unreadable(b"N(.", 2, "nothing on the stack");
        unreadable(b"N\x86.", 1, "too little on the stack");
        unreadable(b"K\x01(K\x02\x86.", 5, "too little on the stack");
        unreadable(b"t.", 0, "no mark on the stack");
        unreadable(b"(Nd.", 2, "a key without a value");
        unreadable(b"h\0.", 0, "nothing at this place of the memo");
        unreadable(b"Nr\xff\xff\xff\xff.", 1, "an index far beyond the memo");
        unreadable(b"NNa.", 2, "nothing that could hold something");
        unreadable(b"]((Ne.", 4, "nothing that could hold something");
        unreadable(b"}Na.", 2, "nothing that could be appended to");
        unreadable(b"}(Nu.", 3, "a key without a value");
        unreadable(b"](NNu.", 4, "no dict");
        unreadable(b"}(N\x90.", 3, "nothing that could be appended to");
        unreadable(b"NNR.", 2, "no function with a tuple of arguments");
        unreadable(b"N)\x81.", 2, "no class");
        unreadable(b"NN\x93.", 2, "a name that is no text");
        unreadable(b"]}NNsb.", 5, "nothing that has a state");
        unreadable(b"X\x01\0\0\0\xff.", 0, "text that is not UTF-8");
        unreadable(b"Ix\n.", 0, "no integer");
        unreadable(b"Fx\n.", 0, "no float");
        unreadable(b"Sx\n.", 0, "no quoted string");
        unreadable(b"V\\u1\n.", 0, "an escape that is none");
        let month_13 = b"cdatetime\ndate\nC\x04\x07\xe8\x0d\x01\x85R.";
        unreadable(month_13, 22, "`datetime.date` with arguments it does not take");
        unreadable(
            b"cdecimal\nDecimal\nU\x01x\x85R.",
            21,
            "`decimal.Decimal` with arguments it does not take",
        );
        let too_long = b"cdatetime\ntimedelta\n(J\0\0\0\x7fK\0K\0tR.";
        refused(
            too_long,
            CodecError::Range { class: "datetime.timedelta", reason: "at most 999,999,999 days" },
        );
        not_plain(b"cuuid\nUUID\n)\x81.", "uuid.UUID without its state");
    }

    #[test]
    fn lengths_are_checked_before_room_is_made() {
        for opcode in [b'X', b'B', b'T', 0x8b] {
            refused(&[&[opcode][..], &[0xff, 0xff, 0xff, 0x7f], b"abc"].concat(), CodecError::Truncated);
        }
        for opcode in [0x8d, 0x8e, 0x96, 0x95] {
            refused(&[&[opcode][..], &[0xff; 8], b"abc"].concat(), CodecError::Truncated);
        }
        let long =
            [&b"\x8b"[..], &(MAX_INT_BYTES as u32 + 1).to_le_bytes(), &vec![1; MAX_INT_BYTES + 1]].concat();
        refused(&long, CodecError::Integer { limit_bytes: MAX_INT_BYTES });
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels: usize| ["]".repeat(levels + 1), "a".repeat(levels), ".".to_owned()].concat();
        assert!(decode(nested(MAX_DEPTH).as_bytes()).is_ok());
        refused(nested(MAX_DEPTH + 1).as_bytes(), CodecError::TooDeep { limit: MAX_DEPTH });
        refused(nested(10_000).as_bytes(), CodecError::TooDeep { limit: MAX_DEPTH });
        refused(&[&b"N"[..], &[0x85; 10_000], b"."].concat(), CodecError::TooDeep { limit: MAX_DEPTH });
    }

    #[test]
    fn cycles_are_refused() {
        refused(b"]\x94h\0a.", CodecError::Recursive);
        refused(b"}\x94K\x01h\0s.", CodecError::Recursive);
        refused(b"]\x94h\0\x85\x94a.", CodecError::Recursive);
        // The same list twice is no cycle.
        check(b"](]\x94h\0e.", "[[], []]");
    }

    /// Ten lists, each of ten times the one before: ten billion values in a few hundred bytes.
    #[test]
    fn bombs_end_early() {
        let mut laughs = b"]\x94".to_vec();
        for level in 0..10 {
            laughs.extend([b"](".as_slice(), &[b'h', level].repeat(10), b"e\x94"].concat());
        }
        laughs.push(b'.');
        refused(&laughs, TOO_MANY);

        let too_often = MAX_PAYLOAD_BYTES / (1 << 20) + 1;
        let text = [&b"X"[..], &(1_u32 << 20).to_le_bytes(), &vec![b'a'; 1 << 20], b"\x94"].concat();
        let mut texts = [&text[..], b"0]("].concat();
        texts.extend(b"h\0".repeat(too_often));
        texts.extend(b"e.");
        refused(&texts, CodecError::TooLarge { limit_bytes: MAX_PAYLOAD_BYTES });

        let mut encoded = [&text[..], b"c_codecs\nencode\nh\0\x8c\x06latin1\x86\x940"].concat();
        encoded.extend(b"c_codecs\nencode\nh\x01R0".repeat(too_often));
        encoded.extend(b"N.");
        refused(&encoded, CodecError::TooLarge { limit_bytes: MAX_PAYLOAD_BYTES });

        let mut sets = [&b"]("[..], &[b'N'; 1 << 18], b"e\x94\x85\x940"].concat();
        sets.extend(b"cbuiltins\nset\nh\x01R0".repeat(64));
        sets.extend(b"N.");
        refused(&sets, TOO_MANY);

        refused(&vec![b'N'; MAX_PAYLOAD_BYTES], TOO_MANY);
        refused(&vec![b'('; MAX_PAYLOAD_BYTES], TOO_MANY);
        assert!(matches!(decode(&vec![b']'; MAX_PAYLOAD_BYTES]), Err(CodecError::TooMany { .. })));
        let memos = [&b"\x80\x04N"[..], &vec![b'\x94'; MAX_PAYLOAD_BYTES - 3]].concat();
        unreadable(&memos, 5, "an index far beyond the memo");
    }

    #[test]
    fn what_python_could_not_load_is_not_written() {
        let check = |value: Value, error: CodecError| assert_eq!(encode(&value), Err(error));
        let unhashable = Value::Tuple(vec![Value::Dict(vec![])]);
        check(Value::Set(vec![unhashable.clone()]), CodecError::Key { class: "dict" });
        check(Value::Dict(vec![(unhashable, Value::Null)]), CodecError::Key { class: "dict" });
        let year_0 = jiff::civil::date(0, 1, 1);
        check(
            Value::Date(year_0),
            CodecError::Range { class: "datetime.date", reason: "the years 1 to 9999" },
        );
        let offset = Some(jiff::tz::Offset::from_seconds(86_400).expect("jiff's own limit is higher"));
        let date_time = Value::DateTime { civil: jiff::civil::date(1, 1, 1).at(0, 0, 0, 0), offset };
        check(
            date_time,
            CodecError::Range { class: "datetime.timezone", reason: "less than a day from UTC" },
        );
        let reason = "digits, a point and an exponent";
        check(Value::Decimal("1,5".to_owned()), CodecError::Range { class: "decimal.Decimal", reason });
        let most = Value::TimeDelta(i128::MAX);
        check(most, CodecError::Range { class: "datetime.timedelta", reason: "at most 999,999,999 days" });
    }

    #[test]
    fn keys_that_can_change_are_written_as_keys_that_cannot() {
        let list = Value::List(vec![Value::List(vec![1.into()]), Value::Set(vec![2.into()])]);
        let value = Value::Dict(vec![(list.clone(), 3.into()), (Value::Set(vec![]), 4.into())]);
        check(&encode(&value).expect("encodable"), "{((1,), frozenset({2})): 3, frozenset(): 4}");
        check(&encode(&Value::Set(vec![list])).expect("encodable"), "{((1,), frozenset({2}))}");
    }

    #[test]
    fn every_proper_prefix_is_refused() {
        let uuid = Value::Uuid(uuid::Uuid::from_u128(5));
        let date = Value::Date(jiff::civil::date(2024, 1, 2));
        let all = Value::List(vec![uuid, date, BigInt::from(10).pow(30).into(), "text".into(), 1.5.into()]);
        let ours = encode(&all).expect("encodable");
        let old = b"ccopy_reg\n_reconstructor\n(cuuid\nUUID\nc__builtin__\nobject\nNtR(dVint\nL5L\nsb.";
        for pickle in [&ours[..], old] {
            assert!(decode(pickle).is_ok());
            for len in 0..pickle.len() {
                assert_eq!(decode(&pickle[..len]), Err(CodecError::Truncated), "{len}");
            }
        }
    }

    proptest! {
        #[test]
        fn values_return(value in samples::values()) {
            let back = decode(&encode(&value).expect("encodable")).expect("decodable");
            prop_assert_eq!(back.repr(), value.repr());
        }

        #[test]
        fn calls_return(payload in samples::payloads()) {
            let back = decode_payload(&encode_payload(&payload).expect("encodable")).expect("decodable");
            prop_assert_eq!(back.into_value().repr(), payload.into_value().repr());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn any_program_is_run_or_refused_and_the_short_way_means_the_same(program in program()) {
            if let Some(value) = direct::decode(&program) {
                prop_assert_eq!(decode_any(&program).map(|value| value.repr()), Ok(value.repr()));
            } else {
                let _ = decode_any(&program);
            }
        }

        #[test]
        fn what_we_write_of_builtin_types_is_read_the_short_way(value in samples::values()) {
            let pickle = encode(&value).expect("encodable");
            let machines = decode_any(&pickle).expect("decodable").repr();
            let short = direct::decode(&pickle).map(|value| value.repr());
            prop_assert!(short.is_none_or(|short| short == machines));
        }

        #[test]
        fn damaged_pickles_are_read_or_refused(value in samples::values(), at in any::<usize>(), byte in any::<u8>()) {
            let mut pickle = encode(&value).expect("encodable");
            let at = at % pickle.len();
            pickle[at] = byte;
            let _ = decode_payload(&pickle);
        }
    }

    const PARTS: [&[u8]; 8] = [
        b"cuuid\nUUID\n",
        b"cdatetime\ndatetime\n",
        b"cdatetime\ntimedelta\n",
        b"cbuiltins\nset\n",
        b"ctasks\nCalc\n",
        b"X\x03\0\0\0int",
        b"C\x0a\x07\xe8\x01\x02\x03\x04\0\0\0\0",
        b"\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\0",
    ];

    /// Mostly whole opcodes, so that the machine gets somewhere.
    fn program() -> impl Strategy<Value = Vec<u8>> {
        let opcode = prop_oneof![
            proptest::sample::select(&b"()]}\x8fNKltdaesu012Rbo\x81\x85\x86\x87\x90\x91\x92\x93\x94"[..])
                .prop_map(|opcode| if opcode == b'K' { vec![b'K', 1] } else { vec![opcode] }),
            (0_u8..8).prop_map(|index| vec![b'h', index]),
            (0_u8..8).prop_map(|index| vec![b'q', index]),
            proptest::sample::select(&PARTS[..]).prop_map(<[u8]>::to_vec),
        ];
        proptest::collection::vec(opcode, 0..40).prop_map(|opcodes| [opcodes.concat(), vec![b'.']].concat())
    }
}
