use millrace_hub::{ItemKind, Join, Packet, PlayerGuard, RateMeter, Traffic};
use tokio::time::Instant;

/// How far a player is, what it wants, and what it has got.
#[derive(Debug)]
pub(crate) struct Playhead {
    /// The next packet.
    pub(crate) next: u64,
    filter: Filter,
    bytes: u64,
    traffic: Traffic,
    skips: u64,
    dropped: u64,
    meter: RateMeter,
}

/// Which packets a player gets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filter {
    /// No picture before the next keyframe.
    await_keyframe: bool,
    /// The player wants sound.
    pub(crate) audio: bool,
    /// The player wants pictures.
    pub(crate) video: bool,
}

impl Filter {
    /// Whether the player gets the next packet, of that kind.
    pub(crate) fn pass(&mut self, kind: ItemKind) -> bool {
        match kind {
            ItemKind::Header => true,
            ItemKind::Audio => self.audio,
            ItemKind::Keyframe => {
                self.await_keyframe = !self.video; // so that it gets no half GOP when it wants pictures again
                self.video
            }
            ItemKind::Inter => {
                self.await_keyframe |= !self.video;
                !self.await_keyframe
            }
        }
    }
}

impl Playhead {
    pub(crate) fn new(join: Join) -> Self {
        Self {
            next: join.at,
            filter: Filter { await_keyframe: join.await_keyframe, audio: true, video: true },
            bytes: 0,
            traffic: Traffic::default(),
            skips: 0,
            dropped: 0,
            meter: RateMeter::default(),
        }
    }

    /// What the player gets from here on.
    pub(crate) fn filter(&self) -> Filter {
        self.filter
    }

    /// What the player wants from here on.
    pub(crate) fn want(&mut self, audio: bool, video: bool) {
        self.filter.audio = audio;
        self.filter.video = video;
    }

    /// Goes on at another packet, those between are lost.
    pub(crate) fn skip_to(&mut self, join: Join) {
        self.skips += 1;
        self.dropped += join.at.saturating_sub(self.next);
        self.next = join.at;
        self.filter.await_keyframe = join.await_keyframe;
    }

    /// Moves over the next packet, and says whether it is to be sent.
    pub(crate) fn take(&mut self, packet: &Packet) -> bool {
        self.next += 1;
        let pass = self.filter.pass(packet.kind);
        if pass {
            let len = packet.bytes.len() as u64;
            match packet.kind {
                ItemKind::Header => {}
                ItemKind::Audio => {
                    self.traffic.audio_bytes += len;
                    self.traffic.audio_frames += 1;
                }
                ItemKind::Keyframe | ItemKind::Inter => {
                    self.traffic.video_bytes += len;
                    self.traffic.video_frames += 1;
                }
            }
        }
        pass
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// Shows the counters to others. To be called about once a second.
    pub(crate) fn report(&mut self, now: Instant, player: &PlayerGuard) {
        let rates = self.meter.sample(now, self.traffic);
        player.update(self.bytes, self.traffic, rates, self.skips, self.dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use millrace_media::Timestamp;

    fn packet(kind: ItemKind) -> Packet {
        Packet { bytes: Bytes::from_static(b"x"), kind, dts: Timestamp::ZERO }
    }

    #[test]
    fn never_half_a_gop() {
        let mut p = Playhead::new(Join { at: 0, await_keyframe: true });
        let got: Vec<bool> = [ItemKind::Inter, ItemKind::Audio, ItemKind::Inter, ItemKind::Keyframe, ItemKind::Inter]
            .map(|k| p.take(&packet(k)))
            .to_vec();
        assert_eq!(got, [false, true, false, true, true]);
        p.want(true, false);
        assert!(!p.take(&packet(ItemKind::Keyframe)));
        p.want(true, true);
        assert!(!p.take(&packet(ItemKind::Inter)), "its keyframe was not sent");
        p.skip_to(Join { at: 20, await_keyframe: false });
        assert_eq!((p.next, p.dropped), (20, 13));
        assert!(p.take(&packet(ItemKind::Inter)));
    }
}
