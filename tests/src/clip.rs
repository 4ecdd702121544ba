//! Synthetic inputs, made by FFmpeg once and kept below the target directory.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    Program,
    frames::{Frames, Sound},
    process::ffmpeg,
};

/// A short FLV file whose every coded frame differs from every other.
#[derive(Debug, Clone)]
pub struct Clip {
    /// The file.
    pub path: PathBuf,
    /// How its sound is coded, if there is any.
    pub sound: Sound,
}

/// What a clip is made of. Without a codec there is no such track.
#[derive(Debug, Clone)]
pub struct Recipe {
    seconds: u32,
    size: &'static str,
    video_kbit_s: Option<u32>,
    gop: u32,
    b_frames: u32,
    sound: Option<Sound>,
    sample_rate: u32,
}

impl Recipe {
    /// H.264 at 25 pictures per second with two B-frames and a keyframe each second, AAC in stereo.
    pub fn new(seconds: u32) -> Self {
        Self {
            seconds,
            size: "320x180",
            video_kbit_s: Some(300),
            gop: 25,
            b_frames: 2,
            sound: Some(Sound::Aac),
            sample_rate: 48_000,
        }
    }

    /// Keyframes this many pictures apart.
    pub fn gop(self, gop: u32) -> Self {
        Self { gop, ..self }
    }

    /// As many B-frames between others.
    pub fn b_frames(self, b_frames: u32) -> Self {
        Self { b_frames, ..self }
    }

    /// Pictures that take so many kbit/s.
    pub fn video_kbit_s(self, kbit_s: u32) -> Self {
        Self { video_kbit_s: Some(kbit_s), size: "640x360", ..self }
    }

    /// Pictures of another size.
    pub fn size(self, size: &'static str) -> Self {
        Self { size, ..self }
    }

    /// Sound only.
    pub fn without_video(self) -> Self {
        Self { video_kbit_s: None, ..self }
    }

    /// Pictures only.
    pub fn without_audio(self) -> Self {
        Self { sound: None, ..self }
    }

    /// MP3 in place of AAC.
    pub fn mp3(self) -> Self {
        Self { sound: Some(Sound::Mp3), ..self }
    }

    /// Sound of another sample rate.
    pub fn sample_rate(self, sample_rate: u32) -> Self {
        Self { sample_rate, ..self }
    }

    /// The clip, made now unless it is there.
    pub fn make(&self) -> Clip {
        static MAKING: Mutex<()> = Mutex::new(());
        let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        let arguments = self.arguments();
        let mut hasher = DefaultHasher::new();
        arguments.hash(&mut hasher);
        let path = scratch().join(format!("clip-{:016x}.flv", hasher.finish()));
        if !path.exists() {
            // Under its name there is never half a file, whoever else makes it at this moment.
            let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
            let file = unfinished.to_str().unwrap().to_owned();
            let arguments = arguments.into_iter().chain(["-f", "flv", "-y", &file].map(str::to_owned));
            Program::start(&ffmpeg(), arguments).wait().success();
            fs::rename(unfinished, &path).unwrap();
        }
        Clip { path, sound: self.sound.unwrap_or(Sound::Aac) }
    }

    fn arguments(&self) -> Vec<String> {
        let mut inputs = Vec::new();
        let mut codecs = Vec::new();
        if let Some(kbit_s) = self.video_kbit_s {
            // Noise makes that the coder uses the bits that it is given.
            let noise = if kbit_s > 500 { ",noise=alls=40:allf=t" } else { "" };
            inputs.push(format!("-f lavfi -i testsrc2=size={}:rate=25{noise}", self.size));
            codecs.push(format!(
                "-c:v libx264 -preset veryfast -pix_fmt yuv420p -b:v {kbit_s}k -maxrate {kbit_s}k -bufsize {kbit_s}k \
                 -x264-params keyint={gop}:min-keyint={gop}:scenecut=0:open-gop=0:b-adapt=0:bframes={b}:threads=1",
                gop = self.gop,
                b = self.b_frames,
            ));
        }
        if let Some(sound) = self.sound {
            // A beep each second, and hiss, so that no two frames are equal.
            let beeps = "if(lt(mod(t,1),0.05),0.5*sin(2*PI*1000*t),0)+0.05*random(0)";
            inputs.push(format!("-f lavfi -i aevalsrc='{beeps}|{beeps}':s={}", self.sample_rate));
            let coder = match sound {
                Sound::Aac => "aac",
                Sound::Mp3 => "libmp3lame",
            };
            codecs.push(format!("-c:a {coder} -b:a 96k"));
        }
        let all = format!("-v error {} {} -t {}", inputs.join(" "), codecs.join(" "), self.seconds);
        all.split_whitespace().map(str::to_owned).collect()
    }
}

impl Clip {
    /// The clip that most tests use.
    pub fn standard() -> Self {
        Recipe::new(8).make()
    }

    /// Its frames.
    #[track_caller]
    pub fn frames(&self) -> Frames {
        Frames::of(self.file(), self.sound)
    }

    /// The file's name for a command line.
    pub fn file(&self) -> &str {
        self.path.to_str().unwrap()
    }
}

/// A directory for files of the tests.
fn scratch() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let path = program.ancestors().nth(2).unwrap_or(Path::new(".")).join("e2e");
    fs::create_dir_all(&path).unwrap();
    path
}

/// The place of a file or a directory that nobody else has, and that goes with this.
#[derive(Debug)]
pub struct Temporary {
    path: PathBuf,
    text: String,
}

impl Temporary {
    /// A free place.
    pub fn new(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{}-{}-{name}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = scratch().join(name);
        let text = path.to_str().unwrap().to_owned();
        Self { path, text }
    }

    /// A file with these bytes.
    pub fn file(name: &str, bytes: &[u8]) -> Self {
        let temporary = Self::new(name);
        fs::write(&temporary.path, bytes).unwrap();
        temporary
    }

    /// The path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path for a command line.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path).or_else(|_| fs::remove_dir_all(&self.path));
    }
}
