use super::*;

fn taken(text: &str, word: &str) -> Given {
    Document::parse(text).unwrap().take(word).unwrap().unwrap()
}

#[test]
fn values_have_their_lines() {
    let mut document =
        Document::parse("# first\na = 1\n\nb-c = [\"x\",\n \"y\"]\n[d]\ne = 0.5\n[f]\n").unwrap();
    assert_eq!(document.take("a").unwrap().unwrap().line, 2);
    let list = document.take("b_c").unwrap().unwrap();
    assert_eq!((list.line, list.texts().unwrap()), (4, vec!["x".to_owned(), "y".to_owned()]));
    let mut inner = document.take("d").unwrap().unwrap().table().unwrap();
    let seconds = inner.take("e").unwrap();
    assert_eq!((inner.line, seconds.line, seconds.seconds(9).unwrap().as_millis()), (6, 7, 500));
    assert_eq!(document.rest().collect::<Vec<_>>(), [("f", 8)]);
    assert_eq!(document.take("a").unwrap(), None);
    assert_eq!(Document::parse("a = 1\na = 2\n").unwrap_err().line, 2);
}

#[test]
fn what_cannot_be_is_told_with_its_key() {
    let fault = |text: &str, read_it: fn(&Given) -> Option<Fault>| read_it(&taken(text, "a")).unwrap().reason;
    assert_eq!(fault("a = 1", |given| given.text().err()), "`a` cannot be used: it is no text");
    assert_eq!(fault("a = 2026-01-01", |given| given.text().err()), "`a` cannot be used: it is no text");
    assert_eq!(fault("a = 0", |given| given.number(1, 9).err()), "`a` cannot be used: it must be 1 to 9");
    assert!(fault("a = nan", |given| given.seconds(9).err()).contains("more than 0"));
    let twice = taken("[t]\na_b = 1\na-b = 2", "t").table().unwrap().check_keys().unwrap_err();
    assert_eq!(twice, Fault::new(3, "`a-b` is given twice"));
}

#[test]
fn what_is_not_taken_may_be_anything() {
    let mut document = Document::parse("a = 99999999999999999999\nb = 1\nc = 2026-01-01\n").unwrap();
    assert_eq!(document.take("b").unwrap().unwrap().value, Item::Integer(1));
    assert_eq!(document.take("a").unwrap_err(), Fault::new(1, "the number is too large"));
    assert!(matches!(document.take("c").unwrap().unwrap().value, Item::Moment(Value::Date(_))));
}

#[test]
fn values_are_in_their_order() {
    let value = taken("[t]\nz = [1, 1.5]\na = { y = true, x = \"x\" }", "t").value.into_value();
    assert_eq!(value.repr(), "{'z': [1, 1.5], 'a': {'y': True, 'x': 'x'}}");
}

#[test]
fn depth_has_an_end() {
    for text in [
        format!("a = {}{}", "[".repeat(100_000), "]".repeat(100_000)),
        format!("a{} = 1", ".a".repeat(400_000)),
        format!("[a{}]\nb = 1", ".a".repeat(400_000)),
        format!("a = {}1{}", "{ a = ".repeat(100_000), " }".repeat(100_000)),
        format!("a = {{ a{} = 1 }}", ".a".repeat(400_000)),
    ] {
        let read = Document::parse(&text).and_then(|mut document| document.take("a"));
        assert!(read.is_err(), "{}", &text[..20]);
    }
}

#[test]
fn places_have_their_lines() {
    let lines = Lines::new("a\nbc\n\nd");
    assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 99].map(|at| lines.of(at)), [1, 1, 2, 2, 2, 3, 4, 4, 4]);
}
