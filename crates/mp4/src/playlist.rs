//! Media playlists (RFC 8216, 4.3.3) of what is complete.

use std::fmt::{self, Write as _};
use std::time::Duration;

/// The playlist of a track whose segments are below `name/`; `query` is put behind each address.
pub(crate) fn media(name: &str, query: &str, durations: impl Iterator<Item = Duration>, independent: bool) -> String {
    let durations: Vec<Duration> = durations.collect();
    let mut text = String::with_capacity(200 + durations.len() * (34 + name.len() + query.len()));
    write(&mut text, name, query, &durations, independent).unwrap_or_default(); // writing to a string does not fail
    text
}

fn write(text: &mut String, name: &str, query: &str, durations: &[Duration], independent: bool) -> fmt::Result {
    let longest = durations.iter().max().copied().unwrap_or_default();
    let target = longest.as_secs() + u64::from(longest.subsec_nanos() > 0);
    write!(text, "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:{target}\n#EXT-X-MEDIA-SEQUENCE:0\n")?;
    text.push_str("#EXT-X-PLAYLIST-TYPE:VOD\n");
    if independent {
        text.push_str("#EXT-X-INDEPENDENT-SEGMENTS\n");
    }
    writeln!(text, "#EXT-X-MAP:URI=\"{name}/init.mp4{query}\"")?;
    for (n, duration) in durations.iter().enumerate() {
        let micros = (duration.as_nanos() + 500) / 1000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        writeln!(text, "#EXTINF:{seconds}.{micros:06},\n{name}/{n}.m4s{query}")?;
    }
    text.push_str("#EXT-X-ENDLIST\n");
    Ok(())
}
