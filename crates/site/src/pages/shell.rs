//! What every page shares: head, top bar, footer.

use std::sync::Arc;

use askama::filters::Safe;

use super::admin::Rail;
use crate::accounts::permissions::Act;
use crate::{
    Language, Site, SiteConfig, assets,
    i18n::Messages,
    visitor::{Theme, Visitor},
};

/// The frame around a page's own content.
pub(super) struct Shell {
    pub(super) t: &'static Messages,
    pub(super) visitor: Visitor,
    pub(super) site: Arc<SiteConfig>,
    /// The site's name.
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    /// Absolute address of the picture that stands for the page elsewhere.
    pub(super) image: String,
    /// Open Graph type.
    pub(super) kind: &'static str,
    pub(super) canonical: String,
    /// Where other sites learn how to show its player.
    pub(super) oembed: Option<String>,
    /// Whether search engines should list the page.
    pub(super) indexed: bool,
    /// What the search field at the top holds.
    pub(super) words: String,
    pub(super) built: bool,
    pub(super) version: &'static str,
    /// Comments on the visitor's videos that wait to be approved, as the studio tells.
    pub(super) held_comments: u64,
    entries: &'static [&'static str],
}

impl Shell {
    /// The shell of a page; `title` is empty on the home page.
    pub(super) fn new(site: &Site, visitor: Visitor, title: &str) -> Self {
        let t = visitor.language.messages();
        let name = site.name();
        let about = &site.accounts.settings.now().description;
        let description = if about.is_empty() { t.with("site.description", "site", &name) } else { about.clone() };
        Self {
            t,
            title: if title.is_empty() { name.clone() } else { format!("{title} · {name}") },
            description,
            image: format!("{}{}", visitor.origin, assets::url("src/images/card.jpg")),
            kind: "website",
            canonical: format!("{}{}", visitor.origin, visitor.choosing_nothing()),
            oembed: None,
            indexed: true,
            words: String::new(),
            built: assets::are_built(),
            version: env!("CARGO_PKG_VERSION"),
            site: Arc::clone(&site.config),
            name,
            visitor,
            held_comments: 0,
            entries: &[SITE_ENTRY],
        }
    }

    /// Search engines need not list the page.
    pub(super) fn unlisted(mut self) -> Self {
        self.indexed = false;
        self
    }

    /// The page holds the player.
    pub(super) fn with_player(mut self) -> Self {
        self.entries = &[SITE_ENTRY, PLAYER_ENTRY];
        self
    }

    /// The page holds the player of videos.
    pub(super) fn with_video(mut self) -> Self {
        self.entries = &[SITE_ENTRY, VIDEO_ENTRY];
        self
    }

    pub(super) fn asset(&self, source: &str) -> String {
        assets::url(source)
    }

    pub(super) fn font(&self) -> &'static str {
        "node_modules/@fontsource-variable/inter/files/inter-latin-wght-normal.woff2"
    }

    pub(super) fn scripts(&self) -> Vec<String> {
        self.entries.iter().map(|entry| assets::url(entry)).collect()
    }

    pub(super) fn styles(&self) -> Vec<String> {
        let mut styles = Vec::new();
        for style in self.entries.iter().flat_map(|entry| assets::styles(entry)) {
            if !styles.contains(&style) {
                styles.push(style);
            }
        }
        styles
    }

    pub(super) fn preloads(&self) -> Vec<String> {
        let mut imports: Vec<String> = self.entries.iter().flat_map(|entry| assets::imports(entry)).collect();
        imports.sort();
        imports.dedup();
        imports
    }

    pub(super) fn languages(&self) -> std::slice::Iter<'static, Language> {
        const { &Language::ALL }.iter()
    }

    pub(super) fn language_name(&self, language: &Language) -> &'static str {
        match language {
            Language::En => self.t.get("language.en"),
            Language::ZhCn => self.t.get("language.zh-CN"),
        }
    }

    pub(super) fn themes(&self) -> std::slice::Iter<'static, Theme> {
        const { &Theme::ALL }.iter()
    }

    /// Whether the visitor helps to run the site.
    pub(super) fn runs_site(&self) -> bool {
        self.visitor.user.as_ref().is_some_and(Rail::leads_somewhere)
    }

    /// Whether the visitor may have channels; somebody unknown may log in to some.
    pub(super) fn publishes(&self) -> bool {
        self.visitor.user.as_ref().is_none_or(|actor| actor.may(Act::OwnChannels))
    }

    /// The studio's pages: path, message, icon, whether this is one of them, and what waits there to be done.
    pub(super) fn studio_pages(&self) -> [(&'static str, &'static str, &'static str, bool, u64); 4] {
        let path = self.visitor.path.split('?').next().unwrap_or_default();
        let below = |page: &str| path.strip_prefix(page).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        let [videos, comments, trash] = ["/studio/videos", "/studio/comments", "/studio/trash"].map(below);
        [
            ("/studio", "studio.channels", "radio-tower", !videos && !comments && !trash, 0),
            ("/studio/videos", "studio.videos", "clapperboard", videos, 0),
            ("/studio/comments", "studio.comments", "message-square", comments, self.held_comments),
            ("/studio/trash", "studio.trash", "trash-2", trash, 0),
        ]
    }

    /// An icon of the sprite, for the eye only.
    pub(super) fn icon(&self, name: &str) -> Safe<String> {
        let sprite = assets::url("icons.svg");
        Safe(format!(r##"<svg class="icon icon-{name}" aria-hidden="true"><use href="{sprite}#{name}"/></svg>"##))
    }

    /// The mark of the site: a water wheel.
    pub(super) fn mark(&self) -> Safe<String> {
        let sprite = assets::url("icons.svg");
        Safe(format!(r##"<svg class="mark" aria-hidden="true"><use href="{sprite}#mark"/></svg>"##))
    }
}

const SITE_ENTRY: &str = "src/site.ts";
const PLAYER_ENTRY: &str = "src/player.ts";
const VIDEO_ENTRY: &str = "src/video.ts";
