//! Characters that nobody sees: of them alone nobody has a name, and some make others look like something else.

use std::ops::RangeInclusive;

/// Whether it controls how others are shown: Unicode's categories Cc, Cf, Zl and Zp, but for the joiners, without which there are neither Persian names nor
/// all faces.
pub(crate) fn is_control(character: char) -> bool {
    let is_format = FORMAT.iter().any(|range| range.contains(&character));
    (character.is_control() || is_format) && !is_joiner(character)
}

/// Whether there is nothing to see of it, by itself.
pub(crate) fn is_blank(character: char) -> bool {
    character.is_whitespace() || is_joiner(character) || FILLERS.contains(&character)
}

fn is_joiner(character: char) -> bool {
    ('\u{200c}'..='\u{200d}').contains(&character)
}

/// Of Hangul, two of full and one of half width, and the empty sign of Braille: letters by their category.
const FILLERS: [char; 5] = ['\u{115f}', '\u{1160}', '\u{2800}', '\u{3164}', '\u{ffa0}'];

/// Cf, Zl and Zp, as of Unicode 16.
const FORMAT: [RangeInclusive<char>; 21] = [
    '\u{ad}'..='\u{ad}',
    '\u{600}'..='\u{605}',
    '\u{61c}'..='\u{61c}',
    '\u{6dd}'..='\u{6dd}',
    '\u{70f}'..='\u{70f}',
    '\u{890}'..='\u{891}',
    '\u{8e2}'..='\u{8e2}',
    '\u{180e}'..='\u{180e}',
    '\u{200b}'..='\u{200f}',
    '\u{2028}'..='\u{202e}',
    '\u{2060}'..='\u{2064}',
    '\u{2066}'..='\u{206f}',
    '\u{feff}'..='\u{feff}',
    '\u{fff9}'..='\u{fffb}',
    '\u{110bd}'..='\u{110bd}',
    '\u{110cd}'..='\u{110cd}',
    '\u{13430}'..='\u{1343f}',
    '\u{1bca0}'..='\u{1bca3}',
    '\u{1d173}'..='\u{1d17a}',
    '\u{e0001}'..='\u{e0001}',
    '\u{e0020}'..='\u{e007f}',
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_others_round_is_refused_and_what_joins_them_is_not() {
        for controls in [
            "\u{202e}",
            "\u{200b}",
            "\u{2066}",
            "\u{feff}",
            "\u{ad}",
            "\u{2028}",
            "\n",
            "\u{e0041}",
        ] {
            assert!(controls.chars().all(is_control), "{controls:?}");
        }
        for name in [
            "Ada Łovelace",
            "李 小龙",
            "علی\u{200c}رضا",
            "👩\u{200d}🚀",
            "é",
            "🏳️\u{200d}🌈",
        ] {
            assert!(
                !name.chars().any(is_control) && !name.chars().all(is_blank),
                "{name:?}"
            );
        }
        assert!(" \u{3000}\u{200d}\u{3164}\u{2800}".chars().all(is_blank));
    }
}
