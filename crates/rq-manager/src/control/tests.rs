//! A Manager's side in this thread, its clients in others.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::{fs, io};

use nix::poll::{PollTimeout, poll};

use super::*;
use crate::scratch::Scratch;

/// How long anything may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);

fn bound(path: &Path) -> Control {
    Control::bind(path.to_owned()).unwrap()
}

fn refusal(path: &Path) -> String {
    match Control::bind(path.to_owned()) {
        Err(ManagerError::Control { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

/// Serves until the client's thread has ended, and answers each order by its own text.
fn serve<T: Send + 'static>(control: &mut Control, client: impl FnOnce() -> T + Send + 'static) -> T {
    let client = thread::spawn(client);
    let by = Instant::now() + LIMIT;
    while !client.is_finished() {
        assert!(Instant::now() < by, "the client does not end");
        turn(control, |order| Answer::Refused(format!("{order:?}")));
    }
    client.join().unwrap()
}

/// One turn of a Manager's loop.
fn turn(control: &mut Control, answer: impl Fn(&Order) -> Answer) {
    let mut descriptors = control.descriptors();
    poll(&mut descriptors, PollTimeout::from(20u8)).unwrap();
    for (client, order) in control.take() {
        control.answer(client, &answer(&order));
    }
    control.drop_late(Instant::now());
}

fn connected(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// What a Manager answers to these bytes.
fn answer_to(control: &mut Control, bytes: impl Into<Vec<u8>>) -> Answer {
    let (path, bytes) = (control._file.path().to_owned(), bytes.into());
    let line = serve(control, move || {
        let mut stream = connected(&path);
        // It need not read all.
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut line = String::new();
        match stream.read_to_string(&mut line) {
            Err(error) if error.kind() != io::ErrorKind::ConnectionReset => panic!("{error}"),
            _ => line,
        }
    });
    serde_json::from_str(&line).expect(&line)
}

#[test]
fn an_order_is_answered() {
    let scratch = Scratch::new();
    let path = scratch.path("folder/control");
    let mut control = bound(&path);
    let mode = |path: &Path| fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

    let order = Order::Scale { kind: "a\nb".to_owned(), count: 3 };
    let answer = serve(&mut control, {
        let (path, order) = (path.clone(), order.clone());
        move || ask(&path, &order).unwrap()
    });
    assert_eq!(answer, Answer::Refused(format!("{order:?}")));
    assert!(control.connections.is_empty());
    drop(control);
    assert!(!path.exists());
}

#[test]
fn a_large_answer_arrives_whole() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    let mut control = bound(&path);
    let large = Answer::Refused("é".repeat(4 << 20));
    let client = thread::spawn(move || ask(&path, &Order::Status).unwrap());
    while !client.is_finished() {
        turn(&mut control, |_| large.clone());
    }
    assert!(client.join().unwrap() == large);
}

#[test]
fn a_stale_socket_is_taken_over_and_a_living_one_is_not() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    let control = bound(&path);
    assert!(refusal(&path).contains("another Manager listens there"));
    // Full, it lives as well.
    let waiting: Vec<_> = std::iter::from_fn(|| address::connect_to(&path).ok()).take(100).collect();
    assert!(waiting.len() < 100);
    assert!(refusal(&path).contains("another Manager listens there"));
    control.leave();
    assert!(path.exists());

    let mut control = bound(&path);
    let answer = serve(&mut control, {
        let path = path.clone();
        move || ask(&path, &Order::Reload).unwrap()
    });
    assert_eq!(answer, Answer::Refused("Reload".to_owned()));
}

#[test]
fn what_is_no_socket_stays() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    fs::write(&path, "precious").unwrap();
    assert!(refusal(&path).contains("no socket"));
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
    assert!(refusal(&scratch.path(&"x".repeat(108))).contains("107 bytes"));
    assert!(refusal(&scratch.path("no/folder/control")).contains("its folder"));
}

#[test]
fn of_two_that_start_at_once_one_listens() {
    let scratch = Scratch::new();
    for round in 0..20 {
        let path = scratch.path(&round.to_string());
        // A stale one, which both would remove.
        bound(&path).leave();
        let other = thread::spawn({
            let path = path.clone();
            move || Control::bind(path)
        });
        let both = [Control::bind(path.clone()), other.join().unwrap()];
        assert_eq!(both.iter().filter(|one| one.is_ok()).count(), 1, "{both:?}");
    }
}

#[test]
fn garbage_is_refused() {
    let scratch = Scratch::new();
    let mut control = bound(&scratch.path("control"));
    for (bytes, reason) in [
        (&b"\n"[..], "that is no order"),
        (b"{\"order\":\"dance\"}\n", "dance"),
        (b"\xff\xfe\0\n", "that is no order"),
        (b"{\"order\":\"status\"}", "no line end"),
        (&[b"[".repeat(1000), b"\n".to_vec()].concat(), "that is no order"),
    ] {
        let Answer::Refused(answer) = answer_to(&mut control, bytes) else { panic!("{bytes:?}") };
        assert!(answer.contains(reason), "{answer}");
    }
    let answer = answer_to(&mut control, "{\"order\":\"stop\",\"now\":true}\nand more");
    assert_eq!(answer, Answer::Refused("Stop { now: true }".to_owned()));
}

#[test]
fn an_order_that_is_too_long_is_refused() {
    let scratch = Scratch::new();
    let mut control = bound(&scratch.path("control"));
    let padded = |bytes: usize| [br#"{"order":"status"}"#, &b" ".repeat(bytes - 18)[..], b"\n"].concat();
    let Answer::Refused(answer) = answer_to(&mut control, padded(ORDER_BYTES_MAX)) else { panic!() };
    assert!(answer.contains("65536 bytes at most"), "{answer}");
    // More than the system keeps for a reader.
    let Answer::Refused(answer) = answer_to(&mut control, "x".repeat(8 << 20)) else { panic!() };
    assert!(answer.contains("65536 bytes at most"), "{answer}");
    assert_eq!(answer_to(&mut control, padded(ORDER_BYTES_MAX - 1)), Answer::Refused("Status".to_owned()));
}

#[test]
fn a_slow_client_is_dropped() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    let mut control = bound(&path);
    let mut slow: Vec<_> = (0..CLIENTS_MAX).map(|_| connected(&path)).collect();
    slow[0].write_all(b"{").unwrap();
    assert!(control.take().is_empty());
    assert_eq!(control.connections.len(), CLIENTS_MAX);
    // Full, it polls the clients alone.
    assert_eq!(control.descriptors().len(), CLIENTS_MAX);
    control.drop_late(Instant::now());
    assert_eq!(control.connections.len(), CLIENTS_MAX);

    control.drop_late(Instant::now() + CLIENT_TIME_MAX);
    assert!(control.connections.is_empty());
    assert_eq!(slow[1].read(&mut [0]).unwrap(), 0);
    let answer = serve(&mut control, move || ask(&path, &Order::Status).unwrap());
    assert_eq!(answer, Answer::Refused("Status".to_owned()));
}

#[test]
fn a_client_that_waits_or_is_gone_wakes_nobody() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    let mut control = bound(&path);
    let mut client = connected(&path);
    client.write_all(b"{\"order\":\"status\"}\n").unwrap();
    let [(id, Order::Status)] = control.take()[..] else { panic!() };
    drop(client);
    assert_eq!(control.descriptors().len(), 1);
    assert_eq!(poll(&mut control.descriptors(), PollTimeout::ZERO), Ok(0));
    control.answer(id, &Answer::Refused(String::new()));
    assert!(control.connections.is_empty());
    // Once more has no effect.
    control.answer(id, &Answer::Refused(String::new()));
}

#[test]
fn who_cannot_be_asked_is_told_apart() {
    let scratch = Scratch::new();
    let path = scratch.path("control");
    assert!(matches!(ask(&path, &Order::Status), Err(ControlError::NobodyThere(_))));
    bound(&path).leave();
    assert!(matches!(ask(&path, &Order::Status), Err(ControlError::NobodyThere(_))));

    let listener = UnixListener::bind(scratch.path("other")).unwrap();
    let other = thread::spawn(move || {
        for answer in ["", "what?\n"] {
            let (mut stream, _) = listener.accept().unwrap();
            stream.read_exact(&mut [0; 19]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
        }
    });
    for expected in ["closed the connection", "that is no answer"] {
        let error = ask(&scratch.path("other"), &Order::Status).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    other.join().unwrap();
}
