use proptest::prelude::*;

use super::*;

fn webvtt(bytes: &[u8]) -> String {
    Captions::parse(bytes).unwrap().to_webvtt()
}

fn problem(text: &str) -> String {
    Captions::parse(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn subrip_becomes_webvtt() {
    let srt = "1\n00:00:01,000 --> 00:00:02,500\nHello,\nworld\n\n2\n00:01:00,5 --> 1:00:00,000\n再见\n";
    let expected = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500\nHello,\nworld\n\n00:01:00.500 --> 01:00:00.000\n再见\n";
    assert_eq!(webvtt(srt.as_bytes()), expected);
    assert_eq!(webvtt(srt.replace('\n', "\r\n").as_bytes()), expected);
    assert_eq!(webvtt(srt.replace('\n', "\r").as_bytes()), expected);
    assert_eq!(webvtt(format!("\u{feff}\n\n{srt}").as_bytes()), expected);
}

#[test]
fn what_is_webvtt_stays_so() {
    let vtt = "WEBVTT\n\n00:00:01.000 --> 00:00:02.500 line:0 align:start\n<v Esme>Hello, <i>world</i></v>\n";
    assert_eq!(webvtt(vtt.as_bytes()), vtt);
    assert_eq!(webvtt(webvtt(vtt.as_bytes()).as_bytes()), vtt);
}

#[test]
fn webvtt_loses_what_is_not_text() {
    let vtt = "WEBVTT - title\nKind: captions\n\nNOTE by me\nand you\n\nSTYLE\n::cue { background: url(http://127.0.0.1/) }\n\n\
               REGION\nid:fred\n\nintro\n01:02.000 --> 01:03.000 region:fred position:10%,line-left x:y\n\
               <c.yellow>a</c> <01:02.500>b\n";
    assert_eq!(webvtt(vtt.as_bytes()), "WEBVTT\n\n00:01:02.000 --> 00:01:03.000 position:10%,line-left\na b\n");
}

#[test]
fn tags_are_known_closed_or_text() {
    let of = |text: &str| {
        let captions = Captions::parse(format!("1\n00:00:01,000 --> 00:00:02,000\n{text}\n").as_bytes()).unwrap();
        (captions.cues[0].text.clone(), captions.cues[0].settings.clone())
    };
    let text = |text: &str| of(text).0;
    assert_eq!(text("<I>a</I> <font color=\"#ff0000\">b</font>"), "<i>a</i> b");
    assert_eq!(text("<b><i>a</b>"), "<b><i>a</i></b>");
    assert_eq!(text("a</i>"), "a");
    assert_eq!(text("1 < 2 && 3 > 2"), "1 &lt; 2 &amp;&amp; 3 &gt; 2");
    assert_eq!(text("&lt;i&gt; &#39;R&B;' &amp;"), "&lt;i&gt; &#39;R&B;' &amp;");
    assert_eq!(text("<script>alert(1)</script>"), "alert(1)");
    assert_eq!(text("<v R&B &amp; me>a"), "<v R&amp;B &amp; me>a</v>");
    assert_eq!(text(&format!("<v {}>a", "&".repeat(190))), "<v >a</v>");
    assert_eq!(text("a --> b"), "a --&gt; b");
    assert_eq!(of("{\\an8}up"), ("up".to_owned(), "line:0".to_owned()));
    assert_eq!(text("{\\i1}a{\\i0} {not a code}"), "a {not a code}");
    assert_eq!(text(&"<i>".repeat(100)).matches("<i>").count(), 16);
}

#[test]
fn files_written_by_hand_are_read() {
    // No empty line between captions, one within, no numbers, no text.
    let srt = "00:00:01,000 --> 00:00:02,000\na\n2\n00:00:02,000 --> 00:00:03,000\nb\n\nc\n\n\n\
               00:00:04.000-->00:00:05.000\n\n4\n00:00:06,000 --> 00:00:07,000\n42\n";
    let captions = Captions::parse(srt.as_bytes()).unwrap();
    let texts: Vec<_> = captions.cues.iter().map(|cue| cue.text.as_str()).collect();
    assert_eq!(texts, ["a", "b\nc", "42"]);
}

#[test]
fn captions_are_sorted() {
    let srt = "00:00:05,000 --> 00:00:06,000\nb\n\n00:00:01,000 --> 00:00:02,000\na\n";
    let captions = Captions::parse(srt.as_bytes()).unwrap();
    assert_eq!(captions.cues[0].text, "a");
}

#[test]
fn errors_name_the_line() {
    assert_eq!(
        problem("1\n00:00:01,000 --> 00:00:02,000\na\n\n2\n00:00:61,000 --> 00:01:02,000\nb"),
        "line 6: this is no time: it should look like 00:00:01,000 --> 00:00:04,000"
    );
    assert_eq!(problem("\n\nhello"), "line 3: a time such as 00:00:01,000 --> 00:00:04,000 should stand here");
    assert_eq!(problem("00:00:02,000 --> 00:00:01,000\na"), "line 1: the caption ends before it begins");
    assert_eq!(
        problem("WEBVTT\n\n00:00:02.000 --> soon\na"),
        "line 3: this is no time: it should look like 00:00:01,000 --> 00:00:04,000"
    );
    assert_eq!(
        problem("WEBVTT\n\nlost words"),
        "line 3: a time such as 00:00:01,000 --> 00:00:04,000 should stand here"
    );
    assert_eq!(problem(" \n"), "there are no captions in the file");
    assert_eq!(problem("WEBVTT\n"), "there are no captions in the file");
}

#[test]
fn sizes_are_bounded_at_their_limits() {
    let cue = "00:00:01,000 --> 00:00:02,000\na\n\n";
    assert_eq!(Captions::parse(cue.repeat(MAX_CUES).as_bytes()).unwrap().cues.len(), MAX_CUES);
    let line = 3 * MAX_CUES + 1;
    assert_eq!(Captions::parse(cue.repeat(MAX_CUES + 1).as_bytes()), Err(CaptionsError::TooMany { line }));
    let long = |length| Captions::parse(format!("00:00:01,000 --> 00:00:02,000\n{}", "a".repeat(length)).as_bytes());
    assert!(long(MAX_TEXT).is_ok());
    assert_eq!(long(MAX_TEXT + 1), Err(CaptionsError::Line { line: 1, problem: Problem::Long }));
    let mut file = cue.as_bytes().to_vec();
    file.resize(MAX_BYTES, b'\n');
    assert!(Captions::parse(&file).is_ok());
    file.push(b'\n');
    assert_eq!(Captions::parse(&file), Err(CaptionsError::TooLarge));
}

#[test]
fn encodings_are_known_or_refused() {
    let srt = "1\n00:00:01,000 --> 00:00:02,000\n你好，世界。\n";
    let of = |bytes: &[u8]| Captions::parse(bytes).map(|c| (c.encoding, c.cues[0].text.clone()));
    let said = |encoding| Ok((encoding, "你好，世界。".to_owned()));
    assert_eq!(of(srt.as_bytes()), said("UTF-8"));
    let little: Vec<u8> = srt.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = srt.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(of(&[&[0xff, 0xfe][..], &little].concat()), said("UTF-16LE"));
    assert_eq!(of(&[&[0xfe, 0xff][..], &big].concat()), said("UTF-16BE"));
    assert_eq!(of(&little), said("UTF-16LE"));
    assert_eq!(of(&big), said("UTF-16BE"));
    assert_eq!(of(&encoding_rs::GB18030.encode(srt).0), said("gb18030"));
    // Latin-1 is not guessed to be Chinese, neither is Big5.
    assert_eq!(of(b"00:00:01,000 --> 00:00:02,000\nd\xe9j\xe0 vu, \xe9t\xe9\n"), Err(CaptionsError::Encoding));
    let big5 = "00:00:01,000 --> 00:00:02,000\n我們今天要去看電影，你要一起來嗎？\n";
    assert_eq!(of(&encoding_rs::BIG5.encode(big5).0), Err(CaptionsError::Encoding));
    assert_eq!(of(&[0xff; 100]), Err(CaptionsError::Encoding));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Captions::parse(&bytes);
    }

    #[test]
    fn what_is_written_is_read_the_same(text in "([<>&;/ibuv{}\\\\ a0:,.\n-]|-->|<v [&a;]{0,6}>|\n\n|00:00:0[1-3],000|WEBVTT){0,60}") {
        let srt = format!("1\n00:00:01,000 --> 00:00:02,000\nx{text}");
        if let Ok(captions) = Captions::parse(srt.as_bytes()) {
            let again = Captions::parse(captions.to_webvtt().as_bytes()).unwrap();
            prop_assert_eq!(again, captions);
        }
    }
}
