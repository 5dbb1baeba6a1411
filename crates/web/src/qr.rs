//! A code that a telephone reads.

use qrcode::render::svg;
use qrcode::{EcLevel, QrCode};

/// A text as a QR code, drawn as SVG.
#[derive(Clone, Debug)]
pub struct Qr {
    svg: String,
    /// The same for whoever cannot read the code.
    pub text: String,
}

/// The text does not fit into a code.
#[derive(Debug)]
pub struct BadQr(String);

impl std::fmt::Display for BadQr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "cannot draw the code: {}", self.0)
    }
}

impl std::error::Error for BadQr {}

impl Qr {
    /// Draws `code`; `text` is shown beside it.
    ///
    /// # Errors
    ///
    /// The text is longer than a code may be.
    pub fn new(code: &str, text: String) -> Result<Self, BadQr> {
        let drawn = QrCode::with_error_correction_level(code, EcLevel::M)
            .map_err(|error| BadQr(error.to_string()))?;
        let svg = drawn
            .render()
            .min_dimensions(220, 220)
            .dark_color(svg::Color("#000000"))
            .light_color(svg::Color("#ffffff"))
            .build();
        // It stands in a page: without the head of an XML file.
        let svg = svg
            .find("<svg")
            .map_or_else(String::new, |at| svg[at..].to_owned());
        Ok(Self { svg, text })
    }

    /// The drawing. It is made of numbers and fixed words alone.
    pub(crate) fn svg(&self) -> &str {
        &self.svg
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_drawn_and_one_too_long_is_not() {
        let qr = Qr::new("otpauth://totp/Postern:anna?secret=ABCDEFGH", "ABCD EFGH".into()).unwrap();
        assert!(
            qr.svg().starts_with("<svg") && qr.svg().ends_with("</svg>"),
            "{}",
            qr.svg()
        );
        assert!(!qr.svg().contains("otpauth"));
        assert!(Qr::new(&"x".repeat(5_000), String::new()).is_err());
    }
}
