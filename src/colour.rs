//! One accent colour becomes shades that can be read, on light pages and on dark ones (WCAG 2.2, 1.4.3).
//! The host chooses a hue; how light it is follows from what stands behind it.

use std::fmt;

/// What text needs against what stands behind it.
pub const READABLE: f64 = 4.5;

const BLACK: Colour = Colour([0, 0, 0]);
const WHITE: Colour = Colour([255, 255, 255]);
/// What stands behind links: `--page`, `--sheet` and `--sunk` of static/gangway.css.
const LIGHT: [Colour; 3] = [Colour([0xf3, 0xf6, 0xf7]), WHITE, Colour([0xf5, 0xf8, 0xf9])];
const DARK: [Colour; 3] =
    [Colour([0x0d, 0x14, 0x16]), Colour([0x14, 0x1d, 0x20]), Colour([0x10, 0x18, 0x1a])];
/// Steps on the way to black or white.
const STEPS: u8 = 100;

/// Red, green and blue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colour([u8; 3]);

/// The shades of one accent in one scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shades {
    /// Links and buttons.
    pub accent: Colour,
    /// The same under the pointer, and on the tint.
    pub strong: Colour,
    /// Text on both.
    pub on_accent: Colour,
    /// A breath of it, behind text.
    pub tint: Colour,
}

impl Colour {
    /// `#rrggbb`
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let part = |from: usize| u8::from_str_radix(digits.get(from..from + 2)?, 16).ok();
        Some(Self([part(0)?, part(2)?, part(4)?]))
    }

    /// So many steps of a hundred towards `other`.
    fn towards(self, other: Self, steps: u8) -> Self {
        let ([red, green, blue], [to_red, to_green, to_blue]) = (self.0, other.0);
        let part = |from: u8, to: u8| {
            let kept = u32::from(from) * u32::from(STEPS.saturating_sub(steps));
            u8::try_from((kept + u32::from(to) * u32::from(steps)) / u32::from(STEPS)).unwrap_or(u8::MAX)
        };
        Self([part(red, to_red), part(green, to_green), part(blue, to_blue)])
    }

    /// The relative luminance of WCAG.
    fn luminance(self) -> f64 {
        let [red, green, blue] = self.0.map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.04045 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The contrast of WCAG, from 1 to 21.
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }
}

impl fmt::Display for Colour {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(formatter, "#{red:02x}{green:02x}{blue:02x}")
    }
}

impl Shades {
    /// On light pages.
    pub fn light(accent: Colour) -> Self {
        Self::readable(accent, BLACK, LIGHT, WHITE.towards(accent, 9))
    }

    /// On dark pages.
    pub fn dark(accent: Colour) -> Self {
        Self::readable(accent, WHITE, DARK, DARK[1].towards(accent, 10))
    }

    /// As near to `accent` as can be read on every one of `behind` and on `tint`, on the way to `end`.
    fn readable(accent: Colour, end: Colour, behind: [Colour; 3], tint: Colour) -> Self {
        let reads = |shade: &Colour| behind.iter().chain([&tint]).all(|one| shade.contrast(*one) >= READABLE);
        let accent = (0..=STEPS).map(|steps| accent.towards(end, steps)).find(reads).unwrap_or(end);
        let strong = accent.towards(end, 25);
        let on_accent = if BLACK.contrast(accent) > WHITE.contrast(accent) { BLACK } else { WHITE };
        Self { accent, strong, on_accent, tint }
    }

    fn properties(&self) -> String {
        let Self { accent, strong, on_accent, tint } = self;
        format!("--accent: {accent}; --accent-strong: {strong}; --on-accent: {on_accent}; --tint: {tint};")
    }
}

/// The rules that give a page this accent. Where colours are forced upon the page, they do nothing.
pub fn stylesheet(accent: Colour) -> String {
    let (light, dark) = (Shades::light(accent).properties(), Shades::dark(accent).properties());
    format!(
        "@media (forced-colors: none) {{ :root {{ {light} }} }}\n\
         @media (forced-colors: none) and (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every colour of a fine grid, with its ends.
    fn any_colour() -> impl Iterator<Item = Colour> {
        let parts = || (0..=255).step_by(15);
        parts().flat_map(move |red| {
            parts().flat_map(move |green| parts().map(move |blue| Colour([red, green, blue])))
        })
    }

    #[test]
    fn every_colour_can_be_read_on_light_pages_and_on_dark_ones() {
        type Make = fn(Colour) -> Shades;
        let schemes: [(Make, _, _); 2] =
            [(Shades::light, LIGHT, ["#142127", "#4b5b63"]), (Shades::dark, DARK, ["#eaf1f3", "#a9b8be"])];
        for (colour, (shades, behind, inks)) in
            any_colour().flat_map(|colour| schemes.map(|scheme| (colour, scheme)))
        {
            let Shades { accent, strong, on_accent, tint } = shades(colour);
            let links = behind.into_iter().chain([tint]).flat_map(|one| [(accent, one), (strong, one)]);
            let buttons = [(on_accent, accent), (on_accent, strong)];
            let plain = inks.map(|ink| (Colour::parse(ink).unwrap(), tint));
            for (text, ground) in links.chain(buttons).chain(plain) {
                assert!(text.contrast(ground) >= READABLE, "{colour}: {text} on {ground}");
            }
        }
    }

    #[test]
    fn a_colour_that_can_be_read_as_it_is_stays_as_it_is() {
        let house = Colour::parse("#0D5f73").unwrap();
        assert_eq!(Shades::light(house).accent, house);
        assert_eq!(house.to_string(), "#0d5f73");
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_behind_links_is_what_the_sheet_says() {
        let sheet = include_str!("../static/gangway.css");
        for [page, bright, sunk] in [LIGHT, DARK] {
            let bright = if bright == WHITE { "#fff".to_owned() } else { bright.to_string() };
            let words = format!("--page: {page}; --sheet: {bright}; --sunk: {sunk};");
            assert!(sheet.contains(&words), "{words}");
        }
    }

    #[test]
    fn what_is_no_colour_is_refused() {
        for text in ["", "#", "#fff", "red", "0d5f73", "#0d5f7g", "#0d5f73;", "#+d5f73", "#é5f73", "#0d5f7é"]
        {
            assert_eq!(Colour::parse(text), None, "{text}");
        }
    }
}
