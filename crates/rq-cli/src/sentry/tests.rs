use super::*;

fn origin_of_file() -> Origin {
    Origin::File { path: "settings.py".into(), line: 3 }
}

#[test]
fn a_program_without_it_refuses_what_it_was_asked_for() {
    for origin in [Origin::Flag(DSN_OPTION), Origin::Variable(DSN_VARIABLE)] {
        let refusal = not_built_in(&origin).unwrap_err();
        let reason = refusal.reason().unwrap_or_default();
        assert!(
            reason.contains(&origin.to_string()) && reason.contains("cargo feature `sentry`"),
            "{reason}"
        );
    }
    for origin in [Origin::Variable("SENTRY_DSN"), origin_of_file()] {
        assert_eq!(not_built_in(&origin), Ok(()));
    }
}

#[cfg(feature = "sentry")]
mod built_in {
    use super::*;

    const OPTION: &str = "https://hush@h/1";
    const SAID: &str = "https://hush@h/2";

    fn resolved(option: Option<&str>, said: Sentry<'_>) -> Result<Option<Reports>, Refusal> {
        let args = SentryArgs { sentry_dsn: option.map(str::to_owned), ..SentryArgs::default() };
        args.resolve("worker", said)
    }

    #[test]
    fn an_option_comes_before_what_is_said_elsewhere() {
        let variable = Origin::Variable(DSN_VARIABLE);
        let check = |option, said: Option<&str>, expected: Option<&str>| {
            let said = Sentry { dsn: said.map(|dsn| (dsn, &variable)), ..Sentry::default() };
            let reports = resolved(option, said).unwrap();
            assert_eq!(reports.map(|reports| reports.dsn).as_deref(), expected);
        };
        check(Some(OPTION), Some(SAID), Some(OPTION));
        check(None, Some(SAID), Some(SAID));
        check(None, Some(""), None);
        check(None, None, None);
        // RQ's documents have this for "none".
        check(Some(""), Some(SAID), None);
    }

    #[test]
    fn what_is_no_dsn_is_refused_without_being_shown() {
        let check = |option, said: Option<(&str, &Origin)>, expected: &str| {
            let refusal = resolved(option, Sentry { dsn: said, ..Sentry::default() }).unwrap_err();
            let reason = refusal.reason().unwrap_or_default();
            assert!(reason.starts_with(expected), "{reason}");
            assert!(!reason.contains("hush"), "{reason}");
        };
        check(Some("hush"), None, "Invalid value for '--sentry-dsn': it is no DSN");
        let (own, sentrys) = (Origin::Variable(DSN_VARIABLE), Origin::Variable("SENTRY_DSN"));
        check(
            None,
            Some(("https://hush@h", &own)),
            "Invalid value for the variable 'RQ_SENTRY_DSN': it is no DSN",
        );
        check(
            None,
            Some(("hush://h/1", &sentrys)),
            "Invalid value for the variable 'SENTRY_DSN': it is no DSN",
        );
        let of_file = origin_of_file();
        check(None, Some(("hush", &of_file)), "settings.py, line 3: SENTRY_DSN cannot be used: it is no DSN");
    }

    #[test]
    fn what_else_is_said_is_looked_at_where_failures_are_reported() {
        let variable = Origin::Variable("RQ_SENTRY_DEBUG");
        let debug = Sentry { debug: Some(("maybe", &variable)), ..Sentry::default() };
        let refusal = resolved(Some(OPTION), debug).unwrap_err();
        assert!(refusal.reason().unwrap_or_default().contains("neither true nor false"), "{refusal:?}");
        assert_eq!(resolved(None, debug), Ok(None));
        let ca_certs = Sentry { ca_certs: Some(("/no/such/file", &variable)), ..Sentry::default() };
        let refusal = resolved(Some(OPTION), ca_certs).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Failed(reason) if reason.contains("/no/such/file")),
            "{refusal:?}"
        );
    }

    #[test]
    fn a_worker_is_told_the_same_and_no_key_in_its_arguments() {
        let variable = Origin::Variable("SENTRY_DEBUG");
        let said = Sentry { debug: Some(("true", &variable)), ..Sentry::default() };
        let reports = resolved(Some(OPTION), said).unwrap();
        let (arguments, variable) = SentryArgs::of_worker(reports.as_ref());
        assert_eq!(arguments, ["--sentry-debug=true"]);
        assert_eq!(variable, Some((handed::DSN_VARIABLE, OPTION.to_owned())));
    }
}
