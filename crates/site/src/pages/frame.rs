//! HTML that puts a player on another page.

/// What a player's frame is.
pub(super) struct Frame<'a> {
    /// Absolute address of the player.
    pub(super) src: &'a str,
    /// What it shows, for those who do not see it.
    pub(super) title: &'a str,
    /// In pixels.
    pub(super) width: u32,
    pub(super) height: u32,
    /// Whether it may begin by itself.
    pub(super) begins: bool,
}

impl Frame<'_> {
    /// The usual size.
    pub(super) const SIZE: (u32, u32) = (640, 360);

    /// The frame as HTML.
    pub(super) fn html(&self) -> String {
        let Self { src, title, width, height, begins } = self;
        let (src, title, autoplay) = (escaped(src), escaped(title), if *begins { "autoplay; " } else { "" });
        format!(
            r#"<iframe src="{src}" title="{title}" width="{width}" height="{height}" allow="{autoplay}fullscreen; picture-in-picture" frameborder="0"></iframe>"#
        )
    }
}

/// For an attribute of HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('"', "&quot;").replace('<', "&lt;").replace('>', "&gt;")
}
