//! A cue's text as WebVTT has it: known tags, each closed in its turn, everything else escaped.

/// Text that is ready.
#[derive(Debug, Default)]
pub(super) struct Markup {
    /// Lines, none empty, with balanced tags.
    pub(super) text: String,
    /// Whether it is to be shown at the top.
    pub(super) top: bool,
}

/// SubRip's: HTML's tags, and override codes in braces that come from SubStation Alpha.
pub(super) fn subrip(lines: &[&str]) -> Markup {
    let joined = join(lines);
    let mut top = false;
    let mut plain = String::with_capacity(joined.len());
    let mut rest = joined.as_str();
    while let Some((before, after)) = rest.split_once("{\\") {
        let Some((code, after)) = after.split_once('}') else { break };
        plain.push_str(before);
        // Numbers are laid out as on a keypad.
        top |= code.split('\\').any(|c| matches!(c, "an7" | "an8" | "an9"));
        rest = after;
    }
    plain.push_str(rest);
    Markup { text: balanced(&plain), top }
}

/// WebVTT's own.
pub(super) fn vtt(lines: &[&str]) -> Markup {
    Markup { text: balanced(&join(lines)), top: false }
}

fn join(lines: &[&str]) -> String {
    lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Keeps the tags that are known, closes those that are open at the end, and drops the others and what closes nothing.
fn balanced(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut open: Vec<&'static str> = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        match c {
            '<' => match tag(rest) {
                Some((tag, after)) => {
                    apply(tag, &mut open, &mut out);
                    rest = after;
                    continue;
                }
                None => out.push_str("&lt;"),
            },
            '>' => out.push_str("&gt;"),
            '&' if !is_reference(rest) => out.push_str("&amp;"),
            c => out.push(c),
        }
        rest = &rest[c.len_utf8()..];
    }
    close(&mut open, 0, &mut out);
    // A tag that is dropped may leave a line without anything.
    join(&out.split('\n').collect::<Vec<_>>())
}

/// What stands between angle brackets.
#[derive(Debug)]
enum Tag<'a> {
    Open(&'static str, &'a str),
    Close(&'static str),
    Unknown,
}

/// The tag at the beginning of `text` and what follows it; None where it is none, as in `1 < 2`.
fn tag(text: &str) -> Option<(Tag<'_>, &str)> {
    let (inside, after) = text.strip_prefix('<')?.split_once('>')?;
    if inside.contains('<') || inside.contains('\n') || inside.len() > MAX_TAG {
        return None;
    }
    let (closes, inside) = inside.strip_prefix('/').map_or((false, inside), |inside| (true, inside));
    if !inside.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    // `c.yellow.bg_blue`, `v.loud Esme`, `font color="red"`.
    let (name, annotation) = inside.split_once([' ', '\t']).unwrap_or((inside, ""));
    let name = name.split('.').next().unwrap_or_default();
    let known = KEPT.iter().find(|kept| kept.eq_ignore_ascii_case(name));
    let tag = match known {
        Some(known) if closes => Tag::Close(known),
        Some(known) => Tag::Open(known, annotation.trim()),
        None => Tag::Unknown,
    };
    Some((tag, after))
}

fn apply(tag: Tag<'_>, open: &mut Vec<&'static str>, out: &mut String) {
    match tag {
        Tag::Open(name, annotation) if open.len() < MAX_DEPTH => {
            out.push('<');
            out.push_str(name);
            // A voice is nobody's without a name; the others have nothing to add.
            if name == "v" {
                out.push(' ');
                out.push_str(&voice(annotation));
            }
            out.push('>');
            open.push(name);
        }
        Tag::Close(name) => {
            if let Some(at) = open.iter().rposition(|n| *n == name) {
                close(open, at, out);
            }
        }
        Tag::Open(..) | Tag::Unknown => {}
    }
}

/// A speaker's name; none where it would be too long for a tag once it is escaped.
fn voice(annotation: &str) -> String {
    let mut name = String::with_capacity(annotation.len());
    for (at, c) in annotation.char_indices() {
        match c {
            '&' if !is_reference(&annotation[at..]) => name.push_str("&amp;"),
            c => name.push(c),
        }
    }
    if name.len() + "v ".len() > MAX_TAG { String::new() } else { name }
}

fn close(open: &mut Vec<&'static str>, down_to: usize, out: &mut String) {
    for name in open.drain(down_to..).rev() {
        out.push_str("</");
        out.push_str(name);
        out.push('>');
    }
}

/// `&amp;`, `&#39;`, `&nbsp;`
fn is_reference(text: &str) -> bool {
    let Some((name, _)) = text.get(1..).and_then(|rest| rest.split_once(';')) else { return false };
    let digits = name.strip_prefix('#');
    let all = |s: &str, of: fn(&u8) -> bool| (1..=MAX_REFERENCE).contains(&s.len()) && s.bytes().all(|b| of(&b));
    digits.map_or_else(|| all(name, u8::is_ascii_alphabetic), |digits| all(digits, u8::is_ascii_digit))
}

const KEPT: [&str; 6] = ["i", "b", "u", "ruby", "rt", "v"];
const MAX_TAG: usize = 200;
const MAX_DEPTH: usize = 16;
const MAX_REFERENCE: usize = 8;
