//! The reference page of the configuration, made from [`keys`](super::keys).

use std::fmt::Write;

use super::{
    keys::{KEYS, Key, SECTIONS},
    load::variable_name,
    streams::STREAM_KEYS,
};

/// `docs/configuration.md`.
pub(crate) fn reference() -> String {
    let mut page = INTRODUCTION.to_owned();
    write_keys(&mut page, KEYS.iter().filter(|key| !key.path.contains('.')));
    for (section, doc) in SECTIONS {
        let _ = write!(page, "\n## `[{section}]`\n\n{}\n\n", joined(doc));
        write_keys(&mut page, KEYS.iter().filter(|key| key.path.split_once('.').is_some_and(|(s, _)| s == *section)));
    }
    page.push_str(STREAMS);
    for (name, default, doc) in STREAM_KEYS {
        let default = default.map_or("none: must be given".to_owned(), |default| format!("`{default}`"));
        let _ = writeln!(page, "| `{name}` | {default} | {doc} |");
    }
    page
}

fn write_keys<'a>(page: &mut String, keys: impl Iterator<Item = &'a Key>) {
    page.push_str("| key | default | meaning |\n|---|---|---|\n");
    for Key { path, doc, default, expected, .. } in keys {
        let name = path.rsplit('.').next().unwrap_or(path);
        let (doc, expected, variable) = (joined(doc), expected(), variable_name(path));
        let _ = writeln!(page, "| `{name}` | `{default}` | {doc}<br>Takes {expected}.<br>Environment: `{variable}` |");
    }
}

fn joined(doc: &[&str]) -> String {
    doc.iter().map(|line| line.trim()).collect::<Vec<_>>().join(" ")
}

const INTRODUCTION: &str = r#"# Configuration

<!-- Made by `millrace config-reference`. A test fails when it is stale: run `make docs`. -->

Millrace needs no configuration. What is set comes from, in falling order of precedence:

1. the command line: `--http`, `--rtmp`, `--ops`, `--data-dir`, and `--set section.key=value` for every other key;
2. the environment: `MILLRACE_SECTION__KEY`, two underscores between section and key;
3. a file: `--config FILE`, or `MILLRACE_CONFIG`, or `millrace.toml` in the working directory;
4. the defaults below.

An unknown key or a wrong value is an error that names the file, the line and what was expected; the server does not
start. `millrace check` reads the same sources and says what else is in the way. On SIGHUP the streams are read again;
the log names other keys that have changed and wait for a restart.

```toml
data_dir = "/var/lib/millrace"

[http]
listen = "0.0.0.0:8080"

[[streams]]
app = "live"
name = "movie"
key = "a-long-secret-of-your-own"
```

## Top level

"#;

const STREAMS: &str = r#"
## `[[streams]]`

Streams that may be published. Any number, each headed `[[streams]]`. In the environment, `MILLRACE_STREAMS` takes the
whole array: `[{name = "movie", key = "…"}]`. Not accepted on the command line, which other users of the machine can
read. On SIGHUP they are read again.

| key | default | meaning |
|---|---|---|
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_current() {
        let page = include_str!("../../../../docs/configuration.md");
        assert_eq!(page, reference(), "docs/configuration.md is stale: run `make docs`");
    }

    #[test]
    fn the_example_on_the_page_is_valid() {
        let example = INTRODUCTION.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let path = std::env::temp_dir().join(format!("millrace-reference-{}.toml", std::process::id()));
        std::fs::write(&path, example.expect("the page has an example")).expect("a file can be written");
        let loaded = crate::config::Sources { file: Some(path.clone()), ..Default::default() }.load();
        std::fs::remove_file(path).expect("it was just written");
        assert_eq!(loaded.map(|config| config.streams.len()).map_err(|error| error.to_string()), Ok(1));
    }
}
