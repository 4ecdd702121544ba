/// What a codec's configuration says about the pictures.
#[derive(Debug, Clone, Copy)]
pub struct Picture {
    /// Width in pixels after cropping.
    pub width: u32,
    /// Height in pixels after cropping.
    pub height: u32,
    /// Pictures per second, where timing is present and credible.
    pub frame_rate: Option<f64>,
}

impl PartialEq for Picture {
    fn eq(&self, other: &Self) -> bool {
        (self.width, self.height, self.frame_rate.map(f64::to_bits))
            == (other.width, other.height, other.frame_rate.map(f64::to_bits))
    }
}

impl Eq for Picture {}

/// A frame rate, where it is credible: above zero and at most [`MAX_FRAME_RATE`].
pub(crate) fn credible_rate(rate: f64) -> Option<f64> {
    (rate.is_finite() && rate > 0.0 && rate <= MAX_FRAME_RATE).then_some(rate)
}

/// Pictures of more than this many per second are taken for a wrong clock.
const MAX_FRAME_RATE: f64 = 1000.0;
