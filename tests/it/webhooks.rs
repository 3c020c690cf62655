//! Webhooks as they arrive: from Python's workers and from our sender, at a server that answers as it is told.

mod verify;

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use rq_core::{Call, Composed, Job, Letter, Retry, Status, Timestamp, Webhook, compose, handlers, job, secs};
use rq_tests::{Answer, Authority, Child, Folder, HookServer, Python, Received, Scratch, named};
use rq_worker::{SendError, Sender, WebhookAllow, WebhookOptions};

use crate::rq_test::{Books, LIMIT, RqTest};

/// One that may send to this machine.
fn sender() -> Sender {
    Sender::new(options())
}

fn options() -> WebhookOptions {
    let mut options = WebhookOptions::default();
    options.allow = vec![WebhookAllow::Private];
    options
}

/// The letter of one webhook of a job that has finished.
fn letter(webhook: Webhook) -> Letter {
    let scratch = Scratch::new();
    let job = scratch.queue("default").enqueue(Call::<()>::to("math.add").arg(2).webhook(webhook)).unwrap();
    let composed = compose(&job.job().unwrap().unwrap(), Status::Finished, None, None);
    composed.letters.into_iter().next().unwrap()
}

fn get(server: &HookServer, path: &str) -> Letter {
    letter(Webhook::finished(server.url(path)))
}

fn post(server: &HookServer, path: &str) -> Letter {
    letter(Webhook::finished(server.url(path)).post())
}

/// What both Python and we say of a request; beside it are the names of programs and how connections are used.
fn told(request: &Received) -> (&str, &str, &str, Option<&String>, Option<&String>) {
    let header = |name| request.headers.get(name);
    (&request.method, &request.path, &request.body, header("content-type"), header("x-token"))
}

/// The producer has nothing to send them with: the next worker does.
#[test]
fn webhooks_of_jobs_that_run_inline_wait_for_a_worker() {
    #[job("interop.add")]
    fn add(x: i64, y: i64) -> rq_core::Result<i64> {
        if y == 0 { Err("nothing to add".into()) } else { Ok(x + y) }
    }
    let (scratch, server) = (Scratch::new(), HookServer::start());
    let queue = scratch.queue("default").inline(handlers![add]);
    for (id, y) in [("good", 3), ("bad", 0)] {
        let call = add::call(2, y).job_id(id);
        let call = call.webhook(Webhook::finished(server.url("/finished")).post());
        queue.enqueue(call.webhook(Webhook::failed(server.url("/failed")).post())).unwrap();
    }
    let again = add::call(2, 0).job_id("again").retry(Retry::up_to(1).every(secs(600)));
    queue.enqueue(again.webhook(Webhook::failed(server.url("/again")))).unwrap();
    assert!(server.received().is_empty());
    assert_eq!(scratch.count("outbox:webhooks"), 2, "nothing is told of an attempt that another follows");
    RqTest::new(&scratch).drain(&["--webhook-allow", "private"]);
    let mut received = server.wait_for(2);
    received.sort_by(|one, other| one.path.cmp(&other.path));
    let told = |text: &str| received.iter().map(|one| one.body.contains(text)).collect::<Vec<_>>();
    assert_eq!(told("\"job_id\": \"bad\""), [true, false], "{received:?}");
    assert_eq!(told("Error: nothing to add"), [true, false], "{received:?}");
    assert_eq!(told("\"status\": \"finished\""), [false, true], "{received:?}");
    assert_eq!(scratch.count("outbox:webhooks"), 0);
}

#[test]
fn python_sends_our_webhooks_and_we_send_the_same() {
    let (scratch, server) = (Scratch::new(), HookServer::start());
    let python = Python::new(&scratch);
    let hooks = |call: Call<i64>| {
        call.webhook(Webhook::finished(server.url("/get?a=b#c")))
            .webhook(Webhook::finished(server.url("/post")).post().header("X-Token", "abé").timeout(secs(3)))
            .webhook(Webhook::finished(server.url("/typed")).post().header("content-type", "text/x"))
            .webhook(Webhook::failed(server.url("/failed")).post())
            .webhook(Webhook::failed(server.url("/failed")))
    };
    let queue = scratch.queue("default");
    let good = queue.enqueue(hooks(Call::to("interop.add").arg(2).arg(3)).job_id("good")).unwrap();
    let bad =
        queue.enqueue(hooks(Call::to("interop.add").arg("é \u{1f600} \"\\").arg(3)).job_id("bad")).unwrap();
    python.rq(&["worker", "--burst", "default"]);
    let from_python = server.wait_for(5);

    let (good, bad) = (good.job().unwrap().unwrap(), bad.job().unwrap().unwrap());
    assert_eq!((good.status, bad.status), (Status::Finished, Status::Failed));
    let text = python.run("print(json.dumps(Job.fetch('bad', connection=conn).latest_result().exc_string))");
    let text: String = serde_json::from_str(&text).unwrap();
    let composed = [
        compose(&good, good.status, good.ended_at, None),
        compose(&bad, bad.status, bad.ended_at, Some(&text)),
    ];
    for letter in composed.iter().flat_map(|composed| &composed.letters) {
        sender().send(letter, 1).unwrap();
    }
    let all = server.wait_for(10);
    let from_us = &all[5..];
    assert_eq!(
        from_us.iter().map(told).collect::<Vec<_>>(),
        from_python.iter().map(told).collect::<Vec<_>>()
    );
    assert!(from_us[1].body.contains(r#""func_name": "interop.add""#), "{}", from_us[1].body);
}

#[test]
fn a_body_is_what_python_makes_of_the_same_job() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    // Times with and without a fraction, or none; names and ids as Python's producers have them.
    for (enqueued_at, ended_at, exc) in [
        (
            "2026-11-22T01:49:05.009772Z",
            Some("2026-11-22T01:49:05.000000Z"),
            Some("é\n\t\u{1f600}\u{7f} \"\\/"),
        ),
        ("2026-11-22T01:49:05.000000Z", Some("0999-01-01T00:00:00.000001Z"), Some("")),
        ("", None, None),
    ] {
        let webhooks = Webhook::failed("http://h").post();
        let handle = scratch.queue("default").enqueue(Call::<()>::to("math.add").webhook(webhooks)).unwrap();
        let times = [("enqueued_at", enqueued_at), ("ended_at", ended_at.unwrap_or_default())];
        redis::cmd("HSET")
            .arg(scratch.key(format_args!("job:{}", handle.id())))
            .arg(&times)
            .exec(&mut scratch.connection())
            .unwrap();
        let job: Job = handle.job().unwrap().unwrap();
        // A text in JSON is one in Python, too.
        let exc_code = exc.map_or("None".to_owned(), |text| serde_json::to_string(text).unwrap());
        let expected = python.run(&format!(
            "job = Job.fetch('{}', connection=conn)\n\
             print(json.dumps(job.webhooks[0].get_payload(job, exc_string={exc_code})))",
            handle.id()
        ));
        let Composed { letters, wrong, .. } = compose(&job, Status::Failed, job.ended_at, exc);
        assert_eq!((letters[0].body.as_deref(), wrong), (Some(expected.trim_end()), None));
        let ended = ended_at.map(|text| Timestamp::parse(text).unwrap());
        assert_eq!(job.ended_at, ended);
    }
}

#[test]
fn the_field_is_what_python_makes_of_the_same_webhooks() {
    let scratch = Scratch::new();
    let ours = Call::<()>::to("math.add")
        .job_id("ours")
        .webhook(Webhook::finished("https://h.example/?q=%20'\"<>").header("X-A", "é\"\\").header("X-B", ""))
        .webhook(Webhook::failed("HTTP://h:1").post().timeout(Duration::from_millis(1500)));
    let ours = scratch.queue("default").enqueue(ours).unwrap();
    Python::new(&scratch).run(
        "W = rq.Webhook\n\
         hooks = [W('https://h.example/?q=%20\\'\"<>', 'finished', headers={'X-A': 'é\"\\\\', 'X-B': ''}),\n\
         \x20 W('HTTP://h:1', 'failed', method='POST', timeout=2)]\n\
         Queue('default', connection=conn).enqueue('math.add', job_id='theirs', webhooks=hooks)",
    );
    let theirs = scratch.queue("default").fetch_job("theirs").unwrap().unwrap();
    let ours = ours.job().unwrap().unwrap();
    let text = |job: &Job| String::from_utf8(job.webhooks.clone().unwrap()).unwrap();
    assert_eq!(text(&ours), text(&theirs));
    assert_eq!(ours.webhooks(), theirs.webhooks());
}

#[test]
fn each_attempt_says_which_letter_it_is() {
    let server = HookServer::start();
    server.answer([Answer::Status(500), Answer::Status(204)]);
    let letter = post(&server, "/hook");
    let sender = sender();
    let first = sender.send(&letter, 1);
    assert!(matches!(&first, Err(error @ SendError::Status(500)) if !error.is_final()), "{first:?}");
    sender.send(&letter, 2).unwrap();
    let [first, second] = <[Received; 2]>::try_from(server.received()).unwrap();
    assert_eq!((first.headers["rq-attempt"].as_str(), second.headers["rq-attempt"].as_str()), ("1", "2"));
    for name in ["job-id", "rq-webhook-id", "content-type", "user-agent"] {
        assert_eq!(first.headers[name], second.headers[name], "{name}");
    }
    assert_eq!((&first.headers["job-id"], &first.body), (&letter.job_id, &second.body));
    assert!(!first.headers.contains_key("rq-signature"));
}

/// What docs/webhooks.md shows receivers.
const VERIFY_IN_PYTHON: &str = include_str!("webhooks/verify.py");
const VERIFY_IN_RUST: &str = include_str!("webhooks/verify.rs");

#[test]
fn receivers_that_do_as_documented_tell_good_signatures_from_bad_ones() {
    let documented = include_str!("../../docs/webhooks.md");
    assert!(documented.contains(VERIFY_IN_PYTHON));
    assert!(documented.contains(&VERIFY_IN_RUST.replace("pub(crate) ", "")));
    let (scratch, server) = (Scratch::new(), HookServer::start());
    let mut options = options();
    options.secret = Some("whsec é".into());
    let sender = Sender::new(options);
    sender.send(&post(&server, "/post"), 1).unwrap();
    sender.send(&get(&server, "/get"), 1).unwrap();
    for request in server.received() {
        let signature = &request.headers["rq-signature"];
        let later = signature.replacen("t=", "t=1", 1);
        for (secret, signature, body, is_good) in [
            ("whsec é", signature, request.body.as_str(), true),
            ("another", signature, &request.body, false),
            ("whsec é", signature, "forged", false),
            ("whsec é", &later, &request.body, false),
        ] {
            let verified = verify::verify(secret, signature, body.as_bytes(), secs(300));
            assert_eq!(verified, Some(is_good), "{request:?}");
            let arguments = serde_json::to_string(&[secret, signature, body]).unwrap();
            let code = format!("{VERIFY_IN_PYTHON}\na = {arguments}; print(verify(*a[:2], a[2].encode()))");
            let expected = if is_good { "True\n" } else { "False\n" };
            assert_eq!(Python::new(&scratch).run(&code), expected, "{request:?}");
        }
        let mangled = r#"[None, "", "nonsense", "t=x,v1=y", "t=1"]"#;
        let code = format!("{VERIFY_IN_PYTHON}\nprint(any(verify('s', text, b'') for text in {mangled}))");
        assert_eq!(Python::new(&scratch).run(&code), "False\n");
        // Old ones are refused, however good.
        let old =
            verify::verify("whsec é", &old_signature(&request.body), request.body.as_bytes(), secs(300));
        assert_eq!(old, Some(false));
    }
}

/// A signature of an hour ago.
fn old_signature(body: &str) -> String {
    let sent_s = Timestamp::now().before(secs(3600)).epoch_secs();
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, "whsec é".as_bytes());
    let tag = ring::hmac::sign(&key, format!("{sent_s}.{body}").as_bytes());
    let hex: String = tag.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={sent_s},v1={hex}")
}

#[test]
fn a_secured_receiver_is_reached_where_it_is_trusted() {
    let folder = Folder::new("webhooks");
    let (authority, other) = (Authority::new("ca.example"), Authority::new("other.example"));
    for (name, authority) in [("ca", &authority), ("other", &other)] {
        std::fs::write(folder.path().join(name).with_extension("pem"), authority.pem()).unwrap();
    }
    authority.certify(named("localhost"), &folder.path().join("server"));
    authority.certify(named("elsewhere.example"), &folder.path().join("elsewhere"));
    let trusting = |name: &str| {
        let mut options = options();
        options.ca_file = Some(folder.path().join(name));
        Sender::new(options)
    };
    let server = HookServer::secured(&folder.path().join("server"));
    trusting("ca.pem").send(&post(&server, "/hook"), 1).unwrap();
    assert_eq!(server.wait_for(1)[0].path, "/hook");
    // Another authority, none, and another host's certificate.
    let elsewhere = HookServer::secured(&folder.path().join("elsewhere"));
    for (ca, server) in [("other.pem", &server), ("none.pem", &server), ("ca.pem", &elsewhere)] {
        let sent = trusting(ca).send(&post(server, "/hook"), 1);
        assert!(matches!(&sent, Err(error @ SendError::Network(_)) if !error.is_final()), "{ca}: {sent:?}");
    }
    assert_eq!((server.received().len(), elsewhere.received().len()), (1, 0));
}

#[test]
fn an_attempt_takes_no_longer_than_it_may() {
    let server = HookServer::start();
    server.answer([Answer::Hang, Answer::Redirect(302, server.url("/slow")), Answer::Hang]);
    for path in ["/hang", "/led-to-hang"] {
        let letter = letter(Webhook::finished(server.url(path)).timeout(secs(1)));
        let began = Instant::now();
        let sent = sender().send(&letter, 1);
        let took = began.elapsed();
        assert!(matches!(&sent, Err(error @ SendError::TimedOut) if !error.is_final()), "{sent:?}");
        assert!(took >= Duration::from_millis(900) && took < secs(10), "{path}: {took:?}");
    }
}

#[test]
fn who_breaks_off_or_is_not_there_is_tried_again() {
    let server = HookServer::start();
    server.answer([Answer::Close]);
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    for letter in [get(&server, "/"), letter(Webhook::finished(format!("http://{nobody}/")))] {
        let sent = sender().send(&letter, 1);
        assert!(matches!(&sent, Err(error @ SendError::Network(_)) if !error.is_final()), "{sent:?}");
    }
}

#[test]
fn what_a_receiver_will_never_take_is_not_tried_again() {
    let server = HookServer::start();
    let final_ones = [304, 400, 401, 404, 410];
    let passing_ones = [408, 425, 429, 502, 503];
    for (statuses, is_final) in [(final_ones, true), (passing_ones, false)] {
        for status in statuses {
            server.answer([Answer::Status(status)]);
            let sent = sender().send(&get(&server, "/"), 1);
            assert!(
                matches!(&sent, Err(error @ SendError::Status(told)) if *told == status && error.is_final() == is_final),
                "{status}: {sent:?}"
            );
        }
    }
}

#[test]
fn redirects_are_followed_as_python_follows_them() {
    let server = HookServer::start();
    server.answer([Answer::Redirect(302, "/there".to_owned())]);
    sender().send(&post(&server, "/here"), 1).unwrap();
    let received = server.received();
    assert_eq!(
        (received[1].method.as_str(), received[1].path.as_str(), received[1].body.as_str()),
        ("GET", "/there", "")
    );
    // A POST is not sent twice, and no letter goes round in circles.
    server.answer([Answer::Redirect(307, "/there".to_owned())]);
    server.answer(vec![Answer::Redirect(301, "/round".to_owned()); 10]);
    for letter in [post(&server, "/here"), get(&server, "/round")] {
        let sent = sender().send(&letter, 1);
        assert!(matches!(&sent, Err(error @ SendError::Redirects) if error.is_final()), "{sent:?}");
    }
    assert!(server.received().len() < 10);
}

#[test]
fn what_is_not_public_is_refused_by_address_name_and_redirect() {
    let server = HookServer::start();
    let refused = |sender: &Sender, url: &str| {
        let sent = sender.send(&letter(Webhook::finished(url)), 1);
        assert!(matches!(&sent, Err(error @ SendError::Address(_)) if error.is_final()), "{url}: {sent:?}");
    };
    let strict = Sender::new(WebhookOptions::default());
    let port = server.url("").rsplit_once(':').unwrap().1.to_owned();
    for host in
        ["127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1", "127.1", "0", "[::ffff:127.0.0.1]"]
    {
        refused(&strict, &format!("http://{host}:{port}/"));
    }
    assert_eq!(server.received(), []);
    // To private networks, and from there on to where clouds give away credentials.
    server.answer([Answer::Redirect(302, "http://169.254.169.254/latest/meta-data/".to_owned())]);
    refused(&sender(), &server.url("/leads-on"));
    assert_eq!(server.received().len(), 1);
    // What is named is allowed, and no more.
    let mut options = WebhookOptions::default();
    options.allow = vec!["127.0.0.1".parse().unwrap()];
    let narrow = Sender::new(options);
    narrow.send(&get(&server, "/named"), 1).unwrap();
    refused(&narrow, &format!("http://127.0.0.2:{port}/"));
}

#[test]
fn a_worker_tells_of_each_end_what_python_would() {
    let folder = Folder::new("webhooks");
    let authority = Authority::new("ca.example");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    authority.certify(named("localhost"), &folder.path().join("server"));
    for executor in ["thread", "fork", "green"] {
        let (scratch, proxy) = (Scratch::new(), HookServer::start());
        let server = HookServer::secured(&folder.path().join("server"));
        let hooks = |call: Call<i64>| {
            call.webhook(Webhook::finished(server.url("/finished")).post())
                .webhook(Webhook::failed(server.url("/failed")).post())
        };
        let queue = scratch.queue("default");
        queue.enqueue(hooks(Call::to("math.add").arg(2).arg(3)).job_id("good")).unwrap();
        // Tells of its last attempt alone.
        let bad = Call::to("math.add").arg("é").arg(3).retry(Retry::up_to(1));
        queue.enqueue(hooks(bad).job_id("bad")).unwrap();
        let mut worker = RqTest::new(&scratch).command(&[
            "worker",
            "--burst",
            "-w",
            executor,
            "--webhook-allow",
            "private",
        ]);
        worker.env("SSL_CERT_FILE", folder.path().join("ca.pem")).env("RQ_WEBHOOK_SECRET", "whsec");
        for variable in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
            worker.env(variable, proxy.url(""));
        }
        Child::spawn(&mut worker).succeed(LIMIT);
        let mut received = server.wait_for(2);
        received.sort_by(|a, b| a.path.cmp(&b.path));
        assert_eq!((received.len(), proxy.received().len()), (2, 0), "{executor}: {received:#?}");
        let python = Python::new(&scratch);
        for (request, id) in received.iter().zip(["bad", "good"]) {
            let expected = python.run(&format!(
                "job = Job.fetch('{id}', connection=conn)\n\
                 hook = [hook for hook in job.webhooks if hook.job_status == job.get_status().value][0]\n\
                 print(json.dumps(hook.get_payload(job, exc_string=job.latest_result().exc_string)))"
            ));
            assert_eq!(request.body, expected.trim_end(), "{executor}");
            assert_eq!(
                (request.headers["job-id"].as_str(), request.headers["rq-attempt"].as_str()),
                (id, "1")
            );
            let signature = &request.headers["rq-signature"];
            let verified = verify::verify("whsec", signature, request.body.as_bytes(), secs(300));
            assert_eq!(verified, Some(true), "{executor}");
        }
    }
}

#[test]
fn a_worker_takes_no_secret_as_an_argument_and_shows_none() {
    let scratch = Scratch::new();
    let rq = RqTest::new(&scratch);
    let (code, help, _) = rq.outcome(&["worker", "--help"]);
    assert!(code == Some(0) && help.contains("--webhook-secret-file") && help.contains("RQ_WEBHOOK_SECRET"));
    let mut command = rq.command(&["worker", "--help"]);
    let help = Child::spawn(command.env("RQ_WEBHOOK_SECRET", "hush")).succeed(LIMIT);
    assert!(help.contains("--webhook-allow") && !help.contains("hush"), "{help}");
    let (code, _, errors) = rq.outcome(&["worker", "--burst", "--webhook-secret-file", "/no/such/file"]);
    assert!(code == Some(1) && errors.contains("/no/such/file"), "{code:?} {errors}");
    let (code, _, errors) = rq.outcome(&["worker", "--burst", "--webhook-allow", "localhost"]);
    assert!(code == Some(2) && errors.contains("neither 'private' nor an address"), "{code:?} {errors}");
    let mut command = rq.command(&[
        "worker",
        "--burst",
        "-v",
        "--webhook-allow",
        "private",
        "--webhook-allow",
        "fe80::/10",
    ]);
    let log = Child::spawn(command.env("RQ_WEBHOOK_SECRET", "hush")).succeed(LIMIT);
    assert!(!log.contains("hush"), "{log}");
}

#[test]
fn no_error_shows_the_path_of_a_url() {
    let server = HookServer::start();
    server.answer([
        Answer::Redirect(302, "gopher://hush/hush".to_owned()),
        Answer::Status(500),
        Answer::Close,
    ]);
    for _ in 0..3 {
        let error = sender().send(&get(&server, "/hush?hush"), 1).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hush"), "{error:?}");
    }
}
