//! The configuration as a whole: precedence, and every kind of fault.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::*;

#[test]
fn no_source_gives_the_defaults() {
    assert_eq!(Config::load(&Sources::default()), Ok(Config::default()));
}

#[test]
fn a_stronger_source_wins() {
    let file = "[limits]\nmax_pop = 1001\nmax_queues = 1001\nmax_groups = 1001";
    let variables = [
        ("POPBOX_LIMITS__MAX_POP", "1002"),
        ("POPBOX_LIMITS__MAX_QUEUES", "1002"),
    ];
    let config = load(
        file,
        &variables,
        &["limits.max_pop=9", "limits.max_pop=1003"],
    )
    .unwrap();
    assert_eq!(config.limits.max_pop, 1003);
    assert_eq!(config.limits.max_queues, 1002);
    assert_eq!(config.limits.max_groups, 1001);
    assert_eq!(config.limits.max_pipelined, 32);
}

#[test]
fn a_value_that_is_replaced_is_not_looked_at() {
    let config = load("log.level = 7", &[], &["log.level=debug"]).unwrap();
    assert_eq!(config.log.level, tracing::Level::DEBUG);
}

#[test]
fn every_kind_of_value_may_come_from_the_environment() {
    let variables = [
        ("POPBOX_SERVER__LISTEN", "[::1]:0"),
        ("POPBOX_SERVER__DRAIN", "1.5"),
        ("POPBOX_SERVER__WORKERS", "2"),
        ("POPBOX_TLS__LISTEN", ""),
        ("POPBOX_STORE__PATH", "/srv/popbox"),
        ("POPBOX_STORE__DURABILITY", "interval"),
        ("POPBOX_STORE__CACHE", "1GiB"),
        ("POPBOX_REDIS__QUEUES", "redis://a:1/0, redis://b:2/0"),
        ("POPBOX_REDIS__TRANSACTIONS", r#"["redis://c:3/0"]"#),
        ("POPBOX_LOG__ACCESS", "true"),
        ("POPBOX_LOG__FORMAT", "json"),
    ];
    let config = load("", &variables, &[]).unwrap();
    assert_eq!(
        config.server.listen,
        "[::1]:0".parse::<SocketAddr>().unwrap()
    );
    assert_eq!(config.server.drain, Duration::from_millis(1500));
    assert_eq!(config.server.workers, 2);
    assert_eq!(config.store.path, Path::new("/srv/popbox"));
    assert_eq!(config.store.durability, Durability::Interval);
    assert_eq!(config.store.cache, Size::from_gibibytes(1));
    let address = |text: &str| text.parse::<RedisAddress>().unwrap();
    let queues = ["redis://a:1/0", "redis://b:2/0"].map(address);
    assert_eq!(config.redis.queues, queues);
    assert_eq!(config.redis.transactions, [address("redis://c:3/0")]);
    assert!(config.log.access);
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn other_variables_are_left_alone() {
    let variables = [
        ("POPBOX_HOME", "/x"),
        ("POPBOX__LIMITS", "/x"),
        ("PATH", "/x"),
        ("X_POPBOX_A__B", "/x"),
    ];
    assert_eq!(load("", &variables, &[]), Ok(Config::default()));
}

/// Each fault kind with the line it gives.
#[test]
fn a_fault_names_key_value_and_what_is_allowed() {
    for (file, expected) in [
        (
            "limits.max_pop = \"x\"",
            "limits.max_pop = \"x\": expected a whole number from 1 to 1000000",
        ),
        (
            "limits.max_pop = 0",
            "limits.max_pop = 0: expected a whole number from 1 to 1000000",
        ),
        (
            "limits.max_head = \"2MiB\"",
            "limits.max_head = \"2MiB\": expected a size from 1KiB to 1MiB",
        ),
        (
            "server.drain = \"2 hours\"",
            "server.drain = \"2 hours\": expected a duration from 0s to 1h",
        ),
        (
            "server.listen = \"localhost\"",
            "server.listen = \"localhost\": expected an IP address and a port, such as 127.0.0.1:3001 or [::]:3001",
        ),
        ("store.path = \"\"", "store.path = \"\": expected a path"),
        (
            "store.kind = \"files\"",
            "store.kind = \"files\": expected \"embedded\" or \"redis\"",
        ),
        (
            "store.durability = true",
            "store.durability = true: expected \"sync\" or \"interval\"",
        ),
        (
            "tls.listen = \"3002\"",
            "tls.listen = \"3002\": expected \"\" or an IP address and a port, such as 0.0.0.0:3002",
        ),
        (
            "log.access = \"yes\"",
            "log.access = \"yes\": expected true or false",
        ),
        (
            "redis.queues = []",
            "redis.queues = []: expected a list of addresses redis://[[user]:password@]host[:port][/database], at least one",
        ),
        (
            "redis.transactions = [\"http://a\"]",
            "redis.transactions = [\"http://a\"]: expected a list of addresses redis://[[user]:password@]host[:port][/database]",
        ),
        (
            "history.uri = \"127.0.0.1\"",
            "history.uri = (hidden: it may hold a password): expected \"\" or a connection string mongodb://[user:password@]host[:port][/?options] or mongodb+srv://..., without w=0",
        ),
        (
            "history.database = \"a.b\"",
            "history.database = \"a.b\": expected a name of 1 to 63 bytes without any of /\\. \"$*<>:|?",
        ),
        (
            "history.sinks = [{event = \"*\"}]",
            "history.sinks = [{ event = \"*\" }]: expected a list of 1 to 16 sinks { event = \"NEWSTATE\" or \"ACTION\" or \"*\", collection = \"name\", filter = { field = \"value\" or [\"value\"] }, take = [\"field\"] }, where filter and take may be left out",
        ),
        (
            "log.colour = 1",
            "log.colour = 1: unknown key; expected one of level, format, access",
        ),
        (
            "limit.max_pop = 1",
            "limit.max_pop = 1: unknown section; expected one of server, tls, store, redis, limits, auth, offload, callbacks, history, log",
        ),
        (
            "[limit]",
            "limit: unknown section; expected one of server, tls, store, redis, limits, auth, offload, callbacks, history, log",
        ),
        (
            "max_pop = 1",
            "max_pop = 1: expected every key to be in a section, such as [server]",
        ),
    ] {
        assert_eq!(lines(load(file, &[], &[])), [expected], "{file}");
    }
}

#[test]
fn a_fault_names_its_source() {
    let variables = [
        ("POPBOX_LOG__LEVEL", "loud"),
        ("POPBOX_LOG__COLOUR", "red"),
        ("POPBOX_LIMIT__MAX_POP", "1"),
        ("POPBOX_log__level", "info"),
    ];
    let arguments = ["log.access=maybe", "nonsense", "log=1"];
    assert_eq!(
        lines(load("", &variables, &arguments)),
        [
            "POPBOX_log__level: expected a variable in capital letters, POPBOX_SECTION__KEY",
            "--set \"nonsense\": expected section.key=value",
            "--set \"log=1\": expected section.key=value",
            "log.level = \"loud\": expected \"error\" or \"warn\" or \"info\" or \"debug\" or \"trace\" \
             (from POPBOX_LOG__LEVEL)",
            "log.access = \"maybe\": expected true or false (from --set)",
            "log.colour = \"red\": unknown key; expected one of level, format, access (from POPBOX_LOG__COLOUR)",
            "limit.max_pop = \"1\": unknown section; expected one of server, tls, store, redis, limits, auth, \
             offload, callbacks, history, log (from POPBOX_LIMIT__MAX_POP)",
        ]
    );
}

#[test]
fn a_variable_that_is_not_utf8_is_a_fault() {
    use std::os::unix::ffi::OsStringExt;
    let sources = Sources {
        environment: vec![("POPBOX_LOG__LEVEL".into(), OsString::from_vec(vec![0xff]))],
        ..Sources::default()
    };
    assert_eq!(
        lines(Config::load(&sources)),
        ["POPBOX_LOG__LEVEL: expected UTF-8"]
    );
}

#[test]
fn keys_are_compared_with_each_other() {
    for (argument, expected) in [
        (
            "limits.max_pop=500",
            "limits.default_pop = 1000: expected at most limits.max_pop = 500 (its default)",
        ),
        (
            "limits.default_pop=20000",
            "limits.default_pop = 20000: expected at most limits.max_pop = 10000 (from --set)",
        ),
        (
            "limits.pop_timeout=10m",
            "limits.pop_timeout = 10m: expected at most limits.max_pop_timeout = 5m (from --set)",
        ),
        (
            "limits.ack_timeout=2d",
            "limits.ack_timeout = 2d: expected at most limits.max_ack_timeout = 1d (from --set)",
        ),
        (
            "limits.max_body=6MiB",
            "limits.max_body = 6MiB: expected at least 6208KiB, so that a payload of limits.max_payload = 1048576 \
             fits, escaped (from --set)",
        ),
        (
            "limits.max_body_memory=1MiB",
            "limits.max_body_memory = 1MiB: expected at least limits.max_body = 8MiB (from --set)",
        ),
    ] {
        assert_eq!(lines(load("", &[], &[argument])), [expected]);
    }
}

#[test]
fn a_faulty_key_is_not_compared() {
    let faults = lines(load(
        "",
        &[],
        &["limits.max_pop=x", "limits.default_pop=20000"],
    ));
    assert_eq!(faults.len(), 1, "{faults:?}");
    let faults = lines(load("[", &[], &["limits.default_pop=20000"]));
    assert_eq!(faults.len(), 1, "{faults:?}");
}

#[test]
fn all_faults_come_at_once() {
    let file = "[server]\nworkers = -1\ndrain = \"x\"\n[log]\nlevel = 1\n[nothing]\na = 1\nb = 2";
    let faults = lines(load(file, &[("POPBOX_STORE__CACHE", "1")], &["tls.on=1"]));
    let subjects: Vec<_> = faults
        .iter()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(
        subjects,
        [
            "server.workers",
            "server.drain",
            "tls.on",
            "store.cache",
            "log.level",
            "nothing.a",
            "nothing.b"
        ]
    );
}

#[test]
fn a_syntax_error_names_file_and_line_and_hides_no_other_fault() {
    let file = file("[server]\nworkers = 1\nworkers 2\n");
    let sources = Sources {
        file: Some(file.path().to_owned()),
        set: vec!["log.level=loud".to_owned()],
        ..Sources::default()
    };
    let faults = lines(Config::load(&sources));
    let start = format!("{}, line 3: ", file.path().display());
    assert!(faults[0].starts_with(&start), "{faults:?}");
    assert!(faults[0].len() > start.len(), "{faults:?}");
    assert!(faults[1].starts_with("log.level = "), "{faults:?}");
}

#[test]
fn a_file_that_is_named_must_be_readable() {
    let missing = Sources {
        file: Some("/nowhere/popbox.toml".into()),
        ..Sources::default()
    };
    let faults = lines(Config::load(&missing));
    assert_eq!(faults.len(), 1);
    let start = "/nowhere/popbox.toml: expected a readable TOML file: ";
    assert!(faults[0].starts_with(start), "{faults:?}");
}

#[test]
fn a_fault_is_one_line_and_holds_no_secret() {
    let file = "log.level = \"a\\nb\"
        \"x\\ny\".z = 1
        redis.queues = [\"http://user:hunter@host\"]
        redis.servers = [\"redis://user:hunter@host\"]
        auth.admin = \"root:hunter\"
        auth.root = \"root:$argon2id$hunter\"
        callbacks.secret = \"hunter\"
        callbacks.secrets = \"hunter\"
        callback.secret = \"hunter\"
        history.uri = \"user:hunter\"";
    let arguments = [
        "redis.transactions=redis://u:hun,hunter@host",
        "redis=u:hunter@host",
    ];
    let faults = lines(load(file, &[], &arguments));
    assert_eq!(faults.len(), 12, "{faults:?}");
    assert!(!faults.join(" ").contains("hun"), "{faults:?}");
}

#[test]
fn a_debug_text_holds_no_password() {
    let arguments = [
        "redis.queues=redis://user:hunter@host:1/0",
        "callbacks.secret=hunter-hunter-hunter",
        "history.uri=mongodb://user:hunter@host",
    ];
    let config = load("", &[], &arguments).unwrap();
    assert!(config.callbacks.secret.is_some() && config.history.uri.is_some());
    assert!(!format!("{config:?}").contains("hunter"));
}

/// Else the admin's password would not be looked at where a role is asked for.
#[test]
fn no_user_has_the_name_of_the_admin() {
    const HASH: &str = "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI";
    let read = |admin: &str| {
        let text = format!(
            "[auth]\nadmin = '{admin}:{HASH}'\nusers = [{{ credentials = 'a:{HASH}', roles = ['producer'] }}]"
        );
        load(&text, &[], &[])
    };
    assert!(read("b").is_ok());
    let faults = read("a").unwrap_err().to_string();
    assert!(
        faults.contains("auth.users = (hidden): expected none of the name of auth.admin"),
        "{faults}"
    );
}

fn load(file_text: &str, variables: &[(&str, &str)], set: &[&str]) -> Result<Config, Faults> {
    let file = file(file_text);
    Config::load(&Sources {
        file: Some(file.path().to_owned()),
        environment: variables
            .iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect(),
        set: set.iter().map(ToString::to_string).collect(),
    })
}

fn file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn lines(result: Result<Config, Faults>) -> Vec<String> {
    let faults = result.unwrap_err();
    let lines: Vec<_> = faults.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), faults.iter().count());
    lines
}
