//! Sound: which codecs MP4 carries, how it names and describes them.

use millrace_media::{AudioConfig, Mp3Config, OpusConfig};

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

/// Appends the sample entry (ISO/IEC 14496-12, 12.2.3) with the codec's record: ISO/IEC 14496-14, 6.7.2;
/// Encapsulation of Opus, and of FLAC, in ISO Base Media File Format; ETSI TS 102 366, annex F.
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
        AudioConfig::Opus(opus) => write_sound(out, b"Opus", config, |out| write_dops(out, opus)),
        AudioConfig::Flac(flac) => write_sound(out, b"fLaC", config, |out| {
            write_full_box(out, b"dfLa", 0, 0, |out| out.extend_from_slice(&flac.metadata_block()));
        }),
        AudioConfig::Ac3(ac3) => write_sound(out, b"ac-3", config, |out| {
            write_box(out, b"dac3", |out| out.extend_from_slice(&ac3.ac3_record()));
        }),
        AudioConfig::Eac3(eac3) => write_sound(out, b"ec-3", config, |out| {
            write_box(out, b"dec3", |out| out.extend_from_slice(&eac3.eac3_record()));
        }),
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
    let bits_per_sample = match config {
        AudioConfig::Flac(flac) => flac.bits_per_sample(),
        _ => 16, // as the specifications have it for what is not coded in samples
    };
    write_box(out, kind, |out| {
        put_zeros(out, 6);
        put_u16(out, 1); // data reference
        put_zeros(out, 8);
        put_u16(out, u16::from(channels));
        put_u16(out, u16::from(bits_per_sample));
        put_zeros(out, 4);
        put_u32(out, u32::from(expressible_rate(config)) << 16);
        codec(out);
    });
}

/// The sampling frequency in 16 bits; what does not fit is told by the codec's own box. That of FLAC
/// (Encapsulation of FLAC in ISO Base Media File Format) is halved until it fits, or is the
/// greatest where that does not go.
fn expressible_rate(config: &AudioConfig) -> u16 {
    let mut rate = config.output_sample_rate();
    if let AudioConfig::Flac(_) = config {
        while rate > u16::MAX.into() && rate.is_multiple_of(2) {
            rate /= 2;
        }
        return u16::try_from(rate).unwrap_or(u16::MAX);
    }
    u16::try_from(rate).unwrap_or(0)
}

/// `OpusSpecificBox`: the identification header of Opus, in the other byte order.
///
/// No edit list takes the pre-skip away: publishers stamp packets with the time at which what the
/// decoder makes of them is heard, and players join in the middle.
fn write_dops(out: &mut Vec<u8>, opus: &OpusConfig) {
    write_box(out, b"dOps", |out| {
        out.extend_from_slice(&[0, opus.channels()]);
        put_u16(out, opus.pre_skip());
        put_u32(out, opus.input_sample_rate());
        out.extend_from_slice(&opus.output_gain().to_be_bytes());
        out.push(opus.mapping_family());
        out.extend_from_slice(opus.mapping_table());
    });
}

/// Frames before a point of access that must be decoded for what is heard there to be right, where
/// there are such (ISO/IEC 14496-12, 10.1).
pub(crate) fn roll_distance(config: &AudioConfig) -> Option<i16> {
    match config {
        AudioConfig::Opus(_) => Some(-OPUS_ROLL),
        _ => None,
    }
}

/// 80 ms in the shortest packets, of 2.5 ms: their length is not known beforehand, and may change.
const OPUS_ROLL: i16 = 32;

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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use millrace_media::{AacConfig, FlacConfig};

    #[test]
    fn a_rate_beyond_16_bits_is_said_in_part_or_not_at_all() {
        let flac = |rate: u32| {
            let mut info = [0; 34];
            info[10..14].copy_from_slice(&(rate << 12 | 1 << 9 | 15 << 4).to_be_bytes());
            AudioConfig::Flac(FlacConfig::parse(&info.to_vec().into()).unwrap())
        };
        let said = [44_100, 96_000, 176_400, 192_000, 96_001].map(|rate| expressible_rate(&flac(rate)));
        assert_eq!(said, [44_100, 48_000, 44_100, 48_000, 65_535]);
        let aac = AudioConfig::Aac(AacConfig::parse(vec![0x10, 0x10].into()).unwrap());
        assert_eq!((aac.output_sample_rate(), expressible_rate(&aac)), (96_000, 0));
    }
}
