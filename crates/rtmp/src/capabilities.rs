//! What both sides of a connection tell of Enhanced RTMP (veovera, "Enhancing NetConnection connect
//! Command").

use millrace_flv::amf0::Value;
use millrace_flv::codec::{AudioCodec, FourCc, VideoCodec};

/// The properties that say what this program carries, for `connect` and its answer.
///
/// Coded media is passed on as it is, hence "can forward". Several tracks are understood, of which
/// the default one is taken. A request to reconnect is not.
pub(crate) fn properties() -> [(&'static str, Value); 4] {
    let video = VideoCodec::ALL.map(VideoCodec::fourcc);
    let audio = AudioCodec::ALL.map(AudioCodec::fourcc);
    let list = video.iter().chain(&audio).map(|fourcc| Value::String(text(*fourcc))).collect();
    let map = |codecs: &[FourCc]| Value::object(codecs.iter().map(|fourcc| (text(*fourcc), CAN_FORWARD)));
    [
        ("fourCcList", Value::StrictArray(list)),
        ("videoFourCcInfoMap", map(&video)),
        ("audioFourCcInfoMap", map(&audio)),
        ("capsEx", Value::Number(f64::from(MULTITRACK | MOD_EX | TIMESTAMP_NANO_OFFSET))),
    ]
}

/// `videoFunction` of a player: it seeks, and reads metadata within video.
pub(crate) const VIDEO_FUNCTION: f64 = 5.0;

const CAN_FORWARD: f64 = 4.0;
const MULTITRACK: u8 = 2;
const MOD_EX: u8 = 4;
const TIMESTAMP_NANO_OFFSET: u8 = 8;

fn text(fourcc: FourCc) -> String {
    fourcc.map(char::from).iter().collect()
}
