//! The files that pages ask for: one of styles and two of scripts, named by their content, so that they may be kept for ever.

use std::sync::LazyLock;

/// A file.
#[derive(Clone, Debug)]
pub struct Asset {
    /// Its address.
    pub path: String,
    /// Its media type.
    pub content_type: &'static str,
    /// Its content.
    pub body: &'static str,
}

impl Asset {
    fn new(name: &str, extension: &str, content_type: &'static str, body: &'static str) -> Self {
        Self {
            path: format!(
                "/assets/{name}-{:08x}.{extension}",
                crc32fast::hash(body.as_bytes())
            ),
            content_type,
            body,
        }
    }
}

/// All of them.
#[derive(Debug)]
pub struct Assets {
    /// The styles.
    pub style: Asset,
    /// htmx 2, under the 0BSD licence that stands beside it.
    pub htmx: Asset,
    /// What htmx does not do.
    pub script: Asset,
    /// The icon.
    pub icon: Asset,
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

static ASSETS: LazyLock<Assets> = LazyLock::new(|| Assets {
    style: Asset::new(
        "postern",
        "css",
        "text/css; charset=utf-8",
        include_str!("../assets/postern.css"),
    ),
    htmx: Asset::new("htmx", "js", SCRIPT, include_str!("../assets/htmx.min.js")),
    script: Asset::new("postern", "js", SCRIPT, include_str!("../assets/postern.js")),
    icon: Asset::new(
        "postern",
        "svg",
        "image/svg+xml",
        include_str!("../assets/postern.svg"),
    ),
});

/// All files.
#[must_use]
pub fn all() -> &'static Assets {
    &ASSETS
}

/// The file at an address.
#[must_use]
pub fn find(path: &str) -> Option<&'static Asset> {
    let Assets {
        style,
        htmx,
        script,
        icon,
    } = all();
    [style, htmx, script, icon]
        .into_iter()
        .find(|asset| asset.path == path)
}
