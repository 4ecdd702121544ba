use std::sync::Arc;
use std::time::Duration;

use millrace_media::{AudioConfig, EPOCH, Frame, MAX_APART, TrackKind, VideoConfig};

use crate::Error;
use crate::audio::{AudioTrack, Group, MAX_GROUP, MAX_PES_PAYLOAD, ticks};
use crate::packet::{Adaptation, Clock, PACKET_LEN, PesHeader, Stream};
use crate::psi::{AUDIO_PID, Program, Tables, VIDEO_PID};
use crate::video::VideoTrack;

/// Writes one program. See the crate's documentation for what holds of its output.
///
/// The program clock follows the frames: it stands at the newest DTS that came, [`LEAD`] behind that
/// frame's DTS in the stream. Where one track is ahead of the other by more than [`MAX_AHEAD`], the
/// clock is behind it by that much more, so that it does not pass frames of the other that are yet to
/// come. Audio waits for up to [`MAX_GROUP`] to fill a PES packet; call
/// [`Muxer::flush`] before the output is cut.
#[derive(Debug)]
pub struct Muxer {
    tables: Tables,
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    video_stream: Stream,
    audio_stream: Stream,
    group: Group,
    /// The program's time, of the newest DTS that came, since the last discontinuity.
    now: Option<i64>,
    skew: Skew,
    last_video_dts: Option<i64>,
    /// Distance of the last two pictures, the best guess at the next.
    video_step: i64,
    /// The last program clock, and its place in the stream.
    last_clock: Option<(i64, Position)>,
    /// When the last tables arrive, by the clocks before and after them.
    last_tables: Option<i64>,
    /// Tables that no clock has followed yet.
    open_tables: Option<Position>,
    tables_wanted: bool,
    clock_wanted: bool,
    discontinuity: bool,
    /// Packets written by the calls before this one.
    written: Position,
    /// Where the caller's buffer begins in the stream.
    buffer: Position,
}

/// A number of packets since the stream's start.
type Position = i64;

/// How far the program clock is behind the DTS of the frame that it accompanies. It must outlast
/// the sending of a frame, the grouping of audio, and the skew between a publisher's tracks.
pub const LEAD: Duration = Duration::from_millis(400);
/// How far one track may be ahead of the other before the program clock waits for the slower.
pub const MAX_AHEAD: Duration = Duration::from_millis(200);
/// Longest time between two program clocks, and between two copies of the tables.
pub const MAX_INTERVAL: Duration = Duration::from_millis(100);
/// Longest time without a frame that is bridged by clock packets; beyond it, the clock is
/// discontinuous.
pub const MAX_FILL: Duration = Duration::from_secs(10);

impl Default for Muxer {
    fn default() -> Self {
        Self::new()
    }
}

impl Muxer {
    /// A program without tracks.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tables: Tables::new(),
            video: None,
            audio: None,
            video_stream: Stream::new(VIDEO_PID),
            audio_stream: Stream::new(AUDIO_PID),
            group: Group::default(),
            now: None,
            skew: Skew::default(),
            last_video_dts: None,
            video_step: 0,
            last_clock: None,
            last_tables: None,
            open_tables: None,
            tables_wanted: true,
            clock_wanted: true,
            discontinuity: false,
            written: 0,
            buffer: 0,
        }
    }

    /// Adds the video track, or changes its configuration from the next frame on.
    ///
    /// # Errors
    /// When transport streams cannot carry the codec.
    pub fn set_video(&mut self, config: Arc<VideoConfig>) -> Result<(), Error> {
        if self.video.as_ref().is_none_or(|v| **v.config() != *config) {
            self.video = Some(VideoTrack::new(config)?);
            self.update_tables();
        }
        Ok(())
    }

    /// Adds the audio track, or changes its configuration from the next frame on.
    ///
    /// # Errors
    /// When transport streams cannot carry the codec.
    pub fn set_audio(&mut self, config: Arc<AudioConfig>) -> Result<(), Error> {
        if self.audio.as_ref().is_none_or(|a| **a.config() != *config) {
            self.audio = Some(AudioTrack::new(config)?);
            self.update_tables();
        }
        Ok(())
    }

    /// Says whether transport streams can carry the pictures.
    ///
    /// # Errors
    /// When they cannot, with the reason.
    pub fn check_video(config: &Arc<VideoConfig>) -> Result<(), Error> {
        VideoTrack::new(config.clone()).map(drop)
    }

    /// Says whether transport streams can carry the sound.
    ///
    /// # Errors
    /// When they cannot, with the reason.
    pub fn check_audio(config: &Arc<AudioConfig>) -> Result<(), Error> {
        AudioTrack::new(config.clone()).map(drop)
    }

    /// The next frame begins a segment that must be playable alone: tables and a clock go first.
    pub fn begin_segment(&mut self) {
        self.tables_wanted = true;
        self.clock_wanted = true;
    }

    /// Time does not go on from the frames before: writes what waits, announces a new clock.
    pub fn discontinuity(&mut self, out: &mut Vec<u8>) {
        self.flush(out);
        self.break_clock();
        self.skew = Skew::default();
        self.last_video_dts = None;
        if let Some(audio) = &mut self.audio {
            audio.reset_clock();
        }
    }

    /// Appends the packets that one frame makes due.
    ///
    /// A frame without a picture or sound in it is passed over.
    ///
    /// # Errors
    /// When the frame's track has no configuration, or the payload does not fit it; nothing of
    /// the frame is written then.
    pub fn push(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
        self.buffer = self.written - packets(out);
        let result = match frame.track {
            TrackKind::Video => self.push_video(frame, out),
            TrackKind::Audio => self.push_audio(frame, out),
        };
        self.written = self.position(out);
        result
    }

    /// Appends the audio that waits for more. Call it before the output is cut.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.buffer = self.written - packets(out);
        self.write_group(out);
        self.written = self.position(out);
    }

    fn push_video(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(video) = self.video.take() else {
            return Err(Error::NoConfig { track: frame.track, dts: frame.dts });
        };
        let result = self.write_picture(&video, frame, out);
        self.video = Some(video);
        result
    }

    fn write_picture(&mut self, video: &VideoTrack, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
        let unit = video.access_unit(&frame.payload, frame.keyframe).map_err(|source| Error::Frame {
            track: frame.track,
            dts: frame.dts,
            source,
        })?;
        let Some(unit) = unit else { return Ok(()) };
        let mut dts = frame.dts.as_90khz();
        if let Some(last) = self.last_video_dts {
            dts = dts.max(last + 1);
            self.video_step = dts - last;
        }
        self.last_video_dts = Some(dts);
        if !self.group.bytes.is_empty() && dts - self.group.pts > ticks(MAX_GROUP) {
            self.write_group(out);
        }
        let now = self.skew.place(TrackKind::Video, dts);
        self.advance(now, out);
        self.write_due_tables(self.video_step, out);
        let header = PesHeader {
            stream_id: VIDEO_STREAM_ID,
            pts: in_stream(frame.pts.as_90khz().max(dts)),
            dts: in_stream(dts),
        };
        let adaptation = Adaptation { random_access: frame.keyframe, clock: self.due_clock(out) };
        let mut pes = self.video_stream.begin(out, adaptation, header.len() + unit.len());
        header.write(&mut pes, unit.len());
        unit.write(&mut pes);
        pes.finish();
        Ok(())
    }

    fn push_audio(&mut self, frame: &Frame, out: &mut Vec<u8>) -> Result<(), Error> {
        let Some(audio) = &mut self.audio else {
            return Err(Error::NoConfig { track: frame.track, dts: frame.dts });
        };
        if frame.payload.is_empty() {
            return Ok(());
        }
        let header = audio.header(frame)?;
        let (pts, follows) = audio.place(frame, frame.pts.as_90khz());
        let step = audio.frame_ticks(frame);
        let stream_id = audio.stream_id();
        let len = header.bytes().len() + frame.payload.len();
        if !follows || self.group.bytes.len() + len > MAX_PES_PAYLOAD {
            self.write_group(out);
        }
        let now = self.skew.place(TrackKind::Audio, pts);
        self.advance(now, out);
        if self.tables.program().clock_pid() == VIDEO_PID {
            // Sound keeps the clock and the tables of pictures that are far apart.
            let clock_due = self.clock_wanted || self.last_clock.is_none_or(|(last, _)| now - last >= DUE_FROM);
            if self.write_due_tables(step, out) || clock_due {
                self.write_clock(out);
            }
        }
        if self.group.bytes.is_empty() {
            self.group.pts = pts;
            self.group.stream_id = stream_id;
        }
        self.group.bytes.extend_from_slice(header.bytes());
        self.group.bytes.extend_from_slice(&frame.payload);
        if pts + 2 * step - self.group.pts > ticks(MAX_GROUP) {
            self.write_group(out);
        }
        Ok(())
    }

    fn write_group(&mut self, out: &mut Vec<u8>) {
        if self.group.bytes.is_empty() {
            return;
        }
        let mut adaptation = Adaptation { random_access: true, clock: None };
        if self.tables.program().clock_pid() == AUDIO_PID {
            self.write_due_tables(ticks(MAX_GROUP), out);
            adaptation.clock = self.due_clock(out);
        }
        let pts = in_stream(self.group.pts);
        let header = PesHeader { stream_id: self.group.stream_id, pts, dts: pts };
        let payload = &self.group.bytes;
        let mut pes = self.audio_stream.begin(out, adaptation, header.len() + payload.len());
        header.write(&mut pes, payload.len());
        pes.write(payload);
        pes.finish();
        self.group.bytes.clear();
    }

    /// Moves the program's time on to `now`; writes the tables and clocks that had to come before.
    fn advance(&mut self, now: i64, out: &mut Vec<u8>) {
        let end = self.now.map_or(now, |before| before.max(now));
        if self.last_clock.is_some_and(|(last, _)| end - last > ticks(MAX_FILL)) {
            self.break_clock();
        }
        while let (Some((clock, _)), Some(tables)) = (self.last_clock, self.last_tables)
            && (end - clock > CLOCKS_BY || end - tables > TABLES_BY)
        {
            let at = (clock.min(tables) + DUE_FROM).max(clock + MIN_STEP);
            if at >= end {
                break;
            }
            self.now = Some(at);
            self.write_due_tables(DUE_FROM, out);
            self.write_clock(out);
        }
        self.now = Some(end);
    }

    /// Writes the tables, if they would be late with the next clock, `step` from now. A clock must
    /// follow at once: so they arrive now, at the latest.
    fn write_due_tables(&mut self, step: i64, out: &mut Vec<u8>) -> bool {
        let Some(now) = self.now else { return false };
        let due = self.tables_wanted || self.last_tables.is_none_or(|last| now + step - last > TABLES_BY);
        if due {
            self.open_tables = Some(self.position(out));
            self.tables.write(out);
            self.tables_wanted = false;
            self.clock_wanted = true;
        }
        due
    }

    /// The clock for the packet that comes next, where it has moved since the last or must come.
    fn due_clock(&mut self, out: &[u8]) -> Option<Clock> {
        let mut now = self.now?;
        let position = self.position(out);
        if let Some((last, _)) = self.last_clock
            && now <= last
        {
            if !self.clock_wanted {
                return None;
            }
            now = last + MIN_STEP;
            self.now = Some(now);
        }
        if let Some(tables) = self.open_tables.take() {
            self.last_tables = Some(match self.last_clock {
                Some((last, at)) => last + (now - last) * (tables - at) / (position - at),
                None => now,
            });
        }
        self.last_clock = Some((now, position));
        self.clock_wanted = false;
        Some(Clock { at: in_stream(now) - ticks(LEAD), discontinuity: std::mem::take(&mut self.discontinuity) })
    }

    /// A packet of its own for the clock.
    fn write_clock(&mut self, out: &mut Vec<u8>) {
        let Some(clock) = self.due_clock(out) else { return };
        match self.tables.program().clock_pid() {
            VIDEO_PID => self.video_stream.write_clock(out, clock),
            _ => self.audio_stream.write_clock(out, clock),
        }
    }

    fn position(&self, out: &[u8]) -> Position {
        self.buffer + packets(out)
    }

    fn break_clock(&mut self) {
        self.discontinuity |= self.last_clock.is_some();
        self.now = None;
        self.last_clock = None;
        self.last_tables = None;
        self.open_tables = None;
        self.tables_wanted = true;
        self.clock_wanted = true;
    }

    fn update_tables(&mut self) {
        let program = Program {
            video: self.video.as_ref().map(VideoTrack::stream_type),
            audio: self.audio.as_ref().map(AudioTrack::stream_type),
            audio_registration: self.audio.as_ref().and_then(AudioTrack::registration),
        };
        if self.tables.set(program) {
            self.tables_wanted = true;
            self.clock_wanted = true;
        }
    }
}

/// How far one track is ahead of the other.
///
/// It is measured at a track's first frame after one of the other. So a track that falls silent holds
/// up nothing: the one that goes on keeps its last distance.
#[derive(Debug, Default)]
struct Skew {
    /// The newest frame of each track, until the other is measured by it.
    newest: [Option<i64>; 2],
    /// By how much more than [`MAX_AHEAD`].
    ahead: [i64; 2],
}

impl Skew {
    /// The program's time when a frame of the track comes.
    fn place(&mut self, track: TrackKind, dts: i64) -> i64 {
        let (own, other) = match track {
            TrackKind::Video => (0, 1),
            TrackKind::Audio => (1, 0),
        };
        self.newest[own] = Some(dts);
        // One that is further behind has been silent before this one began.
        let ahead = self.newest[other].take().map(|newest| dts - newest).filter(|ahead| *ahead <= ticks(MAX_APART));
        if let Some(ahead) = ahead {
            self.ahead[own] = (ahead - ticks(MAX_AHEAD)).max(0);
        }
        dts - self.ahead[own]
    }
}

/// Sound beside pictures that are far apart carries the clock after this much.
const DUE_FROM: i64 = 60 * 90;
/// The longest between two clocks; where no frame would come in time, they come by themselves.
const CLOCKS_BY: i64 = 90 * 90;
/// The longest between two copies of the tables, as far as can be foreseen.
const TABLES_BY: i64 = 95 * 90;
/// Smallest step of the clock that is forced.
const MIN_STEP: i64 = 90;
const VIDEO_STREAM_ID: u8 = 0xe0;

#[allow(clippy::cast_possible_wrap)]
fn packets(out: &[u8]) -> Position {
    (out.len() / PACKET_LEN) as Position
}

/// A frame's time as the stream says it.
fn in_stream(ticks_90khz: i64) -> i64 {
    ticks_90khz + ticks(EPOCH)
}
