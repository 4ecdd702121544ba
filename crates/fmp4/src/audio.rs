//! Sound: which codecs MP4 carries, how it names and describes them.

use millrace_media::{AudioConfig, Mp3Config};

use crate::Error;
use crate::boxes::{put_u16, put_u32, put_zeros, write_box, write_descriptor, write_full_box};

/// Says whether MP4 can carry the sound.
///
/// # Errors
/// When it cannot, with the reason.
pub fn check_audio(config: &AudioConfig) -> Result<(), Error> {
    write_sample_entry(&mut Vec::new(), config)
}

/// Highest sampling frequency that is written, Hz. Sound is not recorded at more than this; it keeps
/// arithmetic on ticks far from its limits.
pub const MAX_SAMPLE_RATE: u32 = 768_000;

/// The codec as RFC 6381 writes it for MP4: as elsewhere, but for MP3, which is named by its object
/// type there.
#[must_use]
pub fn audio_codec_string(config: &AudioConfig) -> String {
    match config {
        AudioConfig::Mp3(mp3) => format!("mp4a.{:02X}", mp3_object_type(mp3)),
        other => other.codec_string(),
    }
}

/// Appends the sample entry (ISO/IEC 14496-12, 12.2.3; ISO/IEC 14496-14, 6.7.2).
pub(crate) fn write_sample_entry(out: &mut Vec<u8>, config: &AudioConfig) -> Result<(), Error> {
    let unsupported = |why: String| Err(Error::UnsupportedCodec { codec: config.name(), why });
    let rate = config.sample_rate();
    if rate == 0 || rate > MAX_SAMPLE_RATE {
        return unsupported(format!("{rate} samples per second, 1 to {MAX_SAMPLE_RATE} expected"));
    }
    match config {
        AudioConfig::Aac(aac) => {
            write_sound(out, b"mp4a", config, |out| write_esds(out, OBJECT_TYPE_AAC, aac.raw()));
        }
        AudioConfig::Mp3(mp3) => {
            write_sound(out, b"mp4a", config, |out| write_esds(out, mp3_object_type(mp3), &[]));
        }
        _ => return unsupported("this program has no form for it".to_owned()),
    }
    Ok(())
}

/// `objectTypeIndication` of ISO/IEC 14496-1, table 5: MPEG-4 audio.
const OBJECT_TYPE_AAC: u8 = 0x40;

/// MPEG-1 audio, or MPEG-2 audio for the lower sampling frequencies.
fn mp3_object_type(mp3: &Mp3Config) -> u8 {
    if mp3.sample_rate >= 32_000 { 0x6b } else { 0x69 }
}

fn write_sound(out: &mut Vec<u8>, kind: &[u8; 4], config: &AudioConfig, codec: impl FnOnce(&mut Vec<u8>)) {
    let channels = match config.channels() {
        0 => 2, // only the bitstream tells, and rules over what is said here
        n => n,
    };
    write_box(out, kind, |out| {
        put_zeros(out, 6);
        put_u16(out, 1); // data reference
        put_zeros(out, 8);
        put_u16(out, u16::from(channels));
        put_u16(out, 16); // bits per sample
        put_zeros(out, 4);
        // 16.16; what does not fit is told by the codec's own box.
        put_u32(out, u16::try_from(config.output_sample_rate()).map_or(0, |rate| u32::from(rate) << 16));
        codec(out);
    });
}

/// The elementary stream's descriptor (ISO/IEC 14496-1, 7.2.6.5).
fn write_esds(out: &mut Vec<u8>, object_type: u8, specific: &[u8]) {
    const ES: u8 = 3;
    const DECODER_CONFIG: u8 = 4;
    const DECODER_SPECIFIC: u8 = 5;
    const SYNC_LAYER: u8 = 6;
    const AUDIO_STREAM: u8 = 5 << 2 | 1;
    write_full_box(out, b"esds", 0, 0, |out| {
        write_descriptor(out, ES, |out| {
            put_zeros(out, 3); // no number of its own, no options
            write_descriptor(out, DECODER_CONFIG, |out| {
                out.extend_from_slice(&[object_type, AUDIO_STREAM]);
                put_zeros(out, 11); // buffer size and bit rates are not known
                if !specific.is_empty() {
                    write_descriptor(out, DECODER_SPECIFIC, |out| out.extend_from_slice(specific));
                }
            });
            write_descriptor(out, SYNC_LAYER, |out| out.push(2)); // as MP4 has it
        });
    });
}
