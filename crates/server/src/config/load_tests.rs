#![allow(clippy::unwrap_used)]
use super::*;
use proptest::prelude::*;

struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// What loading `toml` complains about, with the path shortened to `file`.
fn complaints(toml: &str) -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let name = format!("millrace-{}-{}.toml", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
    let file = TempFile(std::env::temp_dir().join(name));
    std::fs::write(&file.0, toml).unwrap();
    match (Sources { file: Some(file.0.clone()), ..Sources::default() }).load() {
        Ok(_) => String::new(),
        Err(error) => error.to_string().replace(&file.0.display().to_string(), "file"),
    }
}

fn environment(pairs: &[(&str, &str)]) -> Sources {
    let environment = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Sources { environment, ..Sources::default() }
}

fn set(path: &str, value: &str) -> Flag {
    Flag { shown: SET, path: path.to_owned(), value: value.to_owned() }
}

#[test]
fn the_file_names_line_and_remedy() {
    let cases = [
        ("[http]\nlisen = \"0.0.0.0:80\"\n", "file:2: unknown key http.lisen; did you mean http.listen?"),
        ("\n[htpp]\nlisten = \"0.0.0.0:80\"\n", "file:2: unknown section [htpp]; did you mean [http]?"),
        ("[[stream]]\nname = \"a\"\n", "file:1: unknown section [stream]; did you mean [[streams]]?"),
        ("datadir = \"x\"\n", "file:1: unknown key datadir; did you mean data_dir?"),
        ("[hls]\nstall_timeout = \"1s\"\n", "file:2: unknown key hls.stall_timeout; did you mean play.stall_timeout?"),
        ("http = 3\n", "file:1: http: expected a section, written [http]"),
        ("[gop]\ncount = 9\n", "file:2: gop.count: expected a whole number from 0 to 8, found 9"),
        ("[gop]\ncount = -1\n", "file:2: gop.count: expected a whole number from 0 to 8, found -1"),
        ("[gop]\ncount = \"1\"\n", "file:2: gop.count: expected a whole number from 0 to 8, found \"1\""),
        ("[publish]\nopen = \"yes\"\n", "file:2: publish.open: expected true or false, found \"yes\""),
        (
            "[hls]\n\nsegment = 2\n",
            "file:3: hls.segment: expected a duration from 500ms to 30s, such as \"500ms\", \"2s\" or \"1m\", found 2",
        ),
        (
            "[gop]\nmax_bytes = \"16MB\"\n",
            "file:2: gop.max_bytes: expected a size from 1MiB to 1GiB, such as \"512KiB\" or \"16MiB\", found \"16MB\"",
        ),
        (
            "[rtmp]\nlisten = \"localhost\"\n",
            "file:2: rtmp.listen: expected an IP address and port, such as \"0.0.0.0:8080\" or \"[::]:8080\", \
             found \"localhost\"",
        ),
        ("[log]\nformat = \"xml\"\n", "file:2: log.format: expected \"text\" or \"json\", found \"xml\""),
        ("[log]\nlevel = [1]\n", "found an array"),
        ("[http]\nlisten = \"0.0.0.0:80\"\nlisten = \"0.0.0.0:81\"\n", "file:3: duplicate key"),
    ];
    for (toml, expected) in cases {
        let found = complaints(toml);
        assert!(found == expected || (expected.len() < 25 && found.contains(expected)), "{toml}\n{found}");
    }
}

#[test]
fn streams_are_checked_alone_and_together() {
    const KEY: &str = "0123456789abcdef";
    let one = |app: &str, name: &str, key: &str| {
        format!("[[streams]]\napp = \"{app}\"\nname = \"{name}\"\nkey = \"{key}\"\n")
    };
    let cases = [
        (one("live", "Movie", KEY), "file:3: streams.name: expected 1 to 64 of a-z 0-9 _ -"),
        (
            one("live/x", "movie", KEY),
            "file:2: streams.app: expected 1 to 64 of a-z 0-9 _ -, and not the first part of a path of the site such as api",
        ),
        (
            one("api", "movie", KEY),
            "file:2: streams.app: expected 1 to 64 of a-z 0-9 _ -, and not the first part of a path of the site such as api",
        ),
        (
            one("live", "movie", "short"),
            "file:4: streams.key: expected a secret of 16 to 128 characters of A-Z a-z 0-9 . _ ~ -",
        ),
        (
            one("live", KEY, KEY),
            "file:1: streams: the key of live/0123456789abcdef is the public name of live/0123456789abcdef; make it a secret",
        ),
        (
            one("live", "movie", KEY) + &one("live", "movie", "fedcba9876543210"),
            "file:5: streams: live/movie is already configured",
        ),
        (
            one("live", "a", KEY) + &one("live", "b", KEY),
            "file:5: streams: live/b has the same key as live/a; give each its own",
        ),
        (
            "[[streams]]\nname = \"movie\"\n".to_owned(),
            "file:1: streams.key is missing: expected a secret of 16 to 128 characters of A-Z a-z 0-9 . _ ~ -",
        ),
        (
            format!("[[streams]]\nname = \"movie\"\nkey = \"{KEY}\"\ntitel = \"x\"\n"),
            "file:4: unknown key streams.titel; did you mean streams.name?",
        ),
        ("[streams]\nname = \"movie\"\n".to_owned(), "file:1: streams: expected entries, each headed [[streams]]"),
        ("streams = [1]\n".to_owned(), "file:1: streams: expected a table with app, name and key"),
        (one("live", "movie", KEY) + &one("stage", "movie", "fedcba9876543210"), ""),
    ];
    for (toml, expected) in cases {
        assert_eq!(complaints(&toml), expected, "{toml}");
    }
}

#[test]
fn no_message_repeats_a_key() {
    const KEY: &str = "hunter2";
    let broken = [
        format!("[[streams]]\nname = \"movie\"\nkey = \"{KEY}\"\n"),
        format!("[[streams]]\nname = \"{KEY}/\"\nkey = \"movie\"\n"),
        format!("[[streams]]\nkey = \"{KEY}\nname = \"movie\"\n"),
        format!("[[streams]]\nkey = {KEY}\n"),
    ];
    for toml in broken {
        let found = complaints(&toml);
        assert!(!found.is_empty() && !found.contains(KEY), "{found}");
    }
    let sources = environment(&[("MILLRACE_STREAMS", "[{name = \"movie\", key = \"hunter2\"}]")]);
    let found = sources.load().unwrap_err().to_string();
    assert!(
        found.starts_with("environment MILLRACE_STREAMS: streams.key: expected") && !found.contains(KEY),
        "{found}"
    );
}

#[test]
fn all_problems_come_at_once_in_the_order_of_the_file() {
    let found = complaints("[http]\nlisen = \"x\"\n[gop]\ncount = 9\n[audio]\n");
    let lines: Vec<_> = found.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(lines, ["file:2", "file:4", "file:5"]);
}

#[test]
fn the_environment_is_held_to_the_same_keys() {
    let cases = [
        ("MILLRACE_HTTP__LISEN", "unknown key MILLRACE_HTTP__LISEN; did you mean MILLRACE_HTTP__LISTEN?"),
        ("MILLRACE_HTTP_LISTEN", "unknown key MILLRACE_HTTP_LISTEN; did you mean MILLRACE_HTTP__LISTEN?"),
        ("MILLRACE_DATADIR", "unknown key MILLRACE_DATADIR; did you mean MILLRACE_DATA_DIR?"),
        ("MILLRACE_HTPP__LISTN", "did you mean MILLRACE_HTTP__LISTEN?"),
    ];
    for (name, expected) in cases {
        let found = environment(&[(name, "1")]).load().unwrap_err().to_string();
        assert!(found.starts_with("environment: ") && found.ends_with(expected), "{found}");
    }
    let wrong = environment(&[("MILLRACE_GOP__COUNT", "many")]).load().unwrap_err().to_string();
    assert_eq!(wrong, "MILLRACE_GOP__COUNT: expected a whole number from 0 to 8, found \"many\"");
}

#[test]
fn variables_of_others_are_left_alone() {
    let others = environment(&[
        ("PATH", "/bin"),
        ("MILLRACE_PORT", "tcp://10.0.0.1:8080"),
        ("MILLRACE_SERVICE_HOST", "10.0.0.1"),
        ("MILLRACE_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("MILLRACE_BIN", "/usr/bin/millrace"),
        ("MILLRACE_CONFIG", "x.toml"),
    ]);
    assert_eq!(others.load().unwrap(), Config::default());
}

#[test]
fn stronger_sources_win_and_touch_nothing_else() {
    let file = TempFile(std::env::temp_dir().join(format!("millrace-precedence-{}.toml", std::process::id())));
    std::fs::write(&file.0, "[gop]\ncount = 2\nmax_frames = 200\n[hls]\nwindow = 10\n[site]\nname = \"Mill\"\n")
        .unwrap();
    let mut sources = environment(&[("MILLRACE_GOP__COUNT", "3"), ("MILLRACE_HLS__WINDOW", "11")]);
    sources.file = Some(file.0.clone());
    sources.flags = vec![set("gop.count", "4"), Flag { shown: "--http", ..set("http.listen", "[::1]:81") }];

    let config = sources.load().unwrap();

    assert_eq!(config.gop.count.get::<u8>(), 4, "flag over environment");
    assert_eq!(config.hls.window.get::<u8>(), 11, "environment over file");
    assert_eq!(config.gop.max_frames.get::<u32>(), 200, "a flag for gop.count leaves the file's gop.max_frames alone");
    assert_eq!(config.site.name.as_str(), "Mill");
    assert_eq!(config.http.listen, "[::1]:81".parse().unwrap());
    assert_eq!(config.rtmp, Config::default().rtmp, "what nobody set is the default");
    assert_eq!(
        config.differences(&Config::default()),
        ["http.listen", "site.name", "gop.count", "gop.max_frames", "hls.window"]
    );
}

#[test]
fn flags_are_checked_too() {
    let cases = [
        (set("gop.cuont", "1"), "--set: unknown key gop.cuont; did you mean gop.count?"),
        (set("gop.count", "9"), "--set gop.count: expected a whole number from 0 to 8, found \"9\""),
        (
            Flag { shown: "--rtmp", ..set("rtmp.listen", "x") },
            "--rtmp: expected an IP address and port, such as \"0.0.0.0:8080\" or \"[::]:8080\", found \"x\"",
        ),
        (
            set("streams", "[]"),
            "--set: keys on the command line can be read by every user of the machine; put streams into the file or \
             MILLRACE_STREAMS",
        ),
    ];
    for (flag, expected) in cases {
        let sources = Sources { flags: vec![flag], ..Sources::default() };
        assert_eq!(sources.load().unwrap_err().to_string(), expected);
    }
}

#[test]
fn streams_come_from_the_environment_whole() {
    let sources = environment(&[("MILLRACE_STREAMS", "[{name = \"movie\", key = \"0123456789abcdef\"}]")]);
    let config = sources.load().unwrap();
    assert_eq!(config.streams.len(), 1);
    assert_eq!(config.streams[0].to_string(), "live/movie");
    assert!(!format!("{config:?}").contains("0123456789abcdef"));
    let wrong = environment(&[("MILLRACE_STREAMS", "movie")]).load().unwrap_err().to_string();
    assert!(wrong.starts_with("environment MILLRACE_STREAMS: expected an array"), "{wrong}");
}

#[test]
fn a_missing_or_huge_file_is_named() {
    let missing = Sources { file: Some("/nonexistent/millrace.toml".into()), ..Sources::default() };
    let found = missing.load().unwrap_err().to_string();
    assert!(found.starts_with("/nonexistent/millrace.toml: cannot be read: No such file"), "{found}");
    let at_limit = "#".repeat(FILE_MAX as usize);
    assert_eq!(complaints(&at_limit), "");
    assert_eq!(complaints(&(at_limit + "#")), "file: cannot be read: 1048577 bytes are no configuration");
}

/// Values as people write them, and as they do not.
fn value() -> impl Strategy<Value = String> {
    let chosen = [
        "true",
        "-1",
        "0",
        "18446744073709551616",
        "1e999",
        "nan",
        "\"\"",
        "\"0s\"",
        "\"99999999999999999999h\"",
        "\"1h1h\"",
        "\"18446744073709551615GiB\"",
        "\"10.0.0.0/33\"",
        "\"::/129\"",
        "\"[::]:65536\"",
        "\"\u{200b}µs\"",
        "[]",
        "{}",
        "[[]]",
        "1979-05-27",
        "[{app = \"live\"}]",
        "[{app = \"live\", name = \"m\", key = \"k\"}]",
        "{a = {b = {c = 1}}}",
    ];
    prop_oneof![
        4 => proptest::sample::select(chosen.to_vec()).prop_map(str::to_owned),
        1 => "\"[^\"\\\\\r\n]{0,12}\"",
        1 => "[0-9]{1,24}(ms|s|m|h|d|KiB|MiB|GiB)?",
        1 => any::<String>(),
    ]
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused_with_its_lines(
        lines in proptest::collection::vec((any::<prop::sample::Index>(), value(), 0u8..8), 0..12),
        rest in any::<String>(),
    ) {
        let lines = lines.iter().map(|(key, value, form)| {
            let path = key.get(KEYS).path;
            match (path.rsplit_once('.'), form) {
                (_, 0) => format!("[[streams]]\n{path} = {value}"),
                (_, 1) => format!("{value} = {path}"),
                (Some((section, name)), 2) => format!("{section} = {{{name} = {value}}}"),
                (Some((section, name)), 3) => format!("[{section}]\n{name} = {value}"),
                _ => format!("{path} = {value}"),
            }
        });
        let text: Vec<String> = lines.collect();
        for text in [text.join("\n"), rest] {
            let said = complaints(&text);
            prop_assert!(said.lines().all(|line| line.starts_with("file:")), "{}", said);
        }
    }

    #[test]
    fn any_variable_and_any_setting_is_read_or_refused(key in any::<prop::sample::Index>(), value in value(), other in any::<String>()) {
        let path = key.get(KEYS).path;
        let _ = environment(&[(&variable_name(path), &value), ("MILLRACE_STREAMS", &value), (&other, &value)]).load();
        let _ = Sources { flags: vec![set(path, &value), set(&other, &value)], ..Sources::default() }.load();
    }
}
