//! Files that are written to do harm.

use super::*;

/// Each would take minutes or gigabytes if it were read as it is written.
#[test]
fn hostile_files_have_an_end() {
    let long = "x".repeat(900_000);
    let many = |piece: &str, count: usize| piece.repeat(count);
    let doubled = (1..64).map(|number| format!("a{number} = a{0} + a{0}\n", number - 1)).collect::<String>();
    let nested = (1..2_000).map(|number| format!("a{number} = [a{}]\n", number - 1)).collect::<String>();
    for (about, text, is_read) in [
        ("a large file", many("A = 1\n", 200_000), false),
        ("brackets", format!("A = {}{}", many("[", 400_000), many("]", 400_000)), false),
        ("texts of texts", format!("a0 = 'xxxxxxxx'\n{doubled}"), false),
        ("lists of lists", format!("a0 = 1\n{nested}"), false),
        ("a long path, often", format!("import {long} as a\nA = [{}]", many("a,", 50_000)), false),
        ("a path of many parts", format!("import a{} as b", many(".a", 400_000)), true),
        (
            "a dict",
            format!("A = {{{}}}", (0..90_000).map(|key| format!("{key}:1,")).collect::<String>()),
            true,
        ),
        ("a chain", format!("a0 = [{}]\n{}a0", many("1,", 50_000), many("A = ", 100_000)), false),
        (
            "a module, often",
            format!("from {} import {}", &long[..500_000], many("a, ", 100_000) + "b"),
            false,
        ),
        ("texts in texts", format!("A = {}1{}", many("f'{", 200_000), many("}'", 200_000)), false),
        ("values in a text", format!("a = '{}'\nA = f'{}'", &long[..100_000], many("{a}", 200_000)), false),
        ("a variable, often", format!("import os\nA = [{}]", many("os.environ['LARGE'],", 40_000)), false),
        ("alternatives", format!("A = {}1", many("0 or ", 150_000)), true),
        ("a text that grows", format!("A = 'x'{}", many(".replace('x', 'xxxx')", 40)), false),
        ("a text between each", format!("a = '{0}'\nA = a.replace('', a)", &long[..400_000]), false),
        (
            "a text with a large one",
            format!("a = '{0}'\nA = a.join([{1}])", &long[..100_000], many("'',", 90_000)),
            false,
        ),
        ("small capitals", format!("A = '{}'{}", many("ΐ", 200_000), many(".upper().lower()", 20)), false),
        ("many parts", format!("A = '{}'.split(',')", many(",", 900_000)), false),
        ("many words", format!("A = '{}'.split()", many("a ", 400_000)), false),
        (
            "methods that change nothing",
            format!("A = '{}'{}", &long[..500_000], many(".strip()", 60_000)),
            false,
        ),
        (
            "characters of a text that are looked for in one",
            format!(
                "A = '{}'.strip('{}x')",
                &long[..500_000],
                (0..100_000).filter_map(|c| char::from_u32(0x10000 + c)).collect::<String>()
            ),
            true,
        ),
        ("a part that is nearly there", format!("A = '{0}y' in '{0}{0}'", &long[..300_000]), true),
        (
            "a dict that is compared",
            format!("a = {{{}}}\nA = a == a", (0..9_000).map(|key| format!("{key}:1,")).collect::<String>()),
            true,
        ),
        ("conditions in each other", format!("A = {}1{}", many("(", 60), many(" if 1 else 2)", 60)), true),
        ("conditions of conditions", format!("A = {}1{}", many("1 if (", 60), many(") else 2", 60)), true),
        ("conditions one behind the other", format!("A = {}1", many("1 if 0 else ", 50_000)), false),
        ("a condition that is far", format!("A = [{}1 if 1 else 2]", many("1+", 400_000)), true),
        ("negations", format!("A = {}1", many("not ", 200_000)), true),
        ("comparisons", format!("A = 1{}", many(" == 1", 150_000)), true),
        ("both", format!("A = {}1", many("1 and ", 150_000)), true),
        ("sums", format!("A = {}1", many("1+", 400_000)), true),
    ] {
        let large = "x".repeat(100_000);
        let began = std::time::Instant::now();
        let read = settings_of_python(&text, &|_| Some(large.clone()));
        assert_eq!(read.is_ok(), is_read, "{about}: {:?}", read.err());
        assert!(began.elapsed().as_secs() < 20, "{about} takes {:?}", began.elapsed());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_does_harm(text in "(?s)[a-z0-9'\"\\\\\\[\\](){}.,:=+*/ #\\n-]{0,200}|(?s).{0,80}") {
        let _ = settings_of_python(&text, &variable);
        let _ = settings_of_python(&format!("import os\nA = {text}"), &variable);
        let _ = settings_of_python(&format!("A = f'{text}'"), &variable);
    }
}
