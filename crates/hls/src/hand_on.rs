//! Playlists and manifests of one viewer: a query that goes with every address in them, such as a token without which
//! a segment is refused. Everybody else's text is shared; this one is made for who asks.

use bytes::Bytes;

use crate::{CLOCK, Content};

/// A playlist whose addresses end in `query`, which begins without a question mark and has only characters that may
/// stand in a query and in a quoted string.
#[must_use]
pub fn playlist_with(playlist: &Content, query: &str) -> Content {
    let whole = playlist.to_vec();
    let text = String::from_utf8_lossy(&whole);
    let mut out = String::with_capacity(text.len() * 3 / 2);
    for line in text.lines() {
        match line.split_once("URI=\"").and_then(|(before, rest)| Some((before, rest.split_once('"')?))) {
            Some((before, (address, after))) if line.starts_with('#') => {
                out.extend([before, "URI=\"", address, joint(address), query, "\"", after]);
            }
            _ if line.is_empty() || line.starts_with('#') => out.push_str(line),
            _ => out.extend([line, joint(line), query]),
        }
        out.push('\n');
    }
    Bytes::from(out).into()
}

/// A manifest of MPEG-DASH, likewise.
#[must_use]
pub fn manifest_with(manifest: &Content, query: &str) -> Content {
    let whole = manifest.to_vec();
    let text = String::from_utf8_lossy(&whole);
    let mut out = String::with_capacity(text.len() * 3 / 2);
    let mut before = "";
    for (n, piece) in text.split('"').enumerate() {
        if n > 0 {
            out.push('"');
        }
        out.push_str(piece);
        // What stands before a value is its attribute's name.
        let named = |name: &str| before.ends_with(name);
        if named(" initialization=") || named(" media=") || named(" value=") && piece.ends_with(CLOCK) {
            out.extend([joint(piece), query]);
        }
        before = piece;
    }
    Bytes::from(out).into()
}

fn joint(address: &str) -> &'static str {
    if address.contains('?') { "&" } else { "?" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, on: fn(&Content, &str) -> Content) -> String {
        let content = on(&Bytes::copy_from_slice(text.as_bytes()).into(), "token=T");
        String::from_utf8_lossy(&content.to_vec()).into_owned()
    }

    #[test]
    fn every_address_of_a_playlist_has_it() {
        let text = "#EXTM3U\n#EXT-X-MAP:URI=\"a-init0.mp4\"\n#EXT-X-PART:DURATION=0.2,URI=\"a-1.0.m4s\",INDEPENDENT=YES\n\
                    #EXTINF:2.000,\na-1.m4s\nmovie/ts.m3u8?x=1\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a-2.0.m4s\"\n";
        let expected = "#EXTM3U\n#EXT-X-MAP:URI=\"a-init0.mp4?token=T\"\n\
                        #EXT-X-PART:DURATION=0.2,URI=\"a-1.0.m4s?token=T\",INDEPENDENT=YES\n\
                        #EXTINF:2.000,\na-1.m4s?token=T\nmovie/ts.m3u8?x=1&token=T\n\
                        #EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"a-2.0.m4s?token=T\"\n";
        assert_eq!(with(text, playlist_with), expected);
    }

    #[test]
    fn every_address_of_a_manifest_has_it() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\">\
                    <AdaptationSet mimeType=\"video/mp4\" frameRate=\"30000/1001\"><SegmentTemplate initialization=\"m/a-v.mp4\" \
                    media=\"m/a-v-$Time$.m4s\"/><UTCTiming schemeIdUri=\"urn:x\" value=\"m/clock\"/></MPD>";
        let expected = text
            .replace("a-v.mp4\"", "a-v.mp4?token=T\"")
            .replace("$.m4s\"", "$.m4s?token=T\"")
            .replace("clock\"", "clock?token=T\"");
        assert_eq!(with(text, manifest_with), expected);
    }
}
