//! How the pages look, and what they may load: nothing.

/// The style that stands in every page. Colours are the reader's own, light or dark.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;font:1rem/1.5 system-ui,sans-serif}\
body{margin:0 auto;max-width:60rem;padding:1rem}\
header{border-bottom:1px solid GrayText;padding-bottom:.5rem}\
header a{font-weight:bold;text-decoration:none}\
h1{font-size:1.4rem;overflow-wrap:anywhere}\
h2{font-size:1.1rem;margin-top:2rem}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}\
dd{margin:0;overflow-wrap:anywhere}\
dt,small{color:GrayText}\
ol{font-family:ui-monospace,monospace;overflow-wrap:anywhere}\
pre{border:1px solid GrayText;border-radius:.25rem;overflow:auto;padding:.75rem;white-space:pre-wrap;overflow-wrap:anywhere}\
form{display:flex;flex-wrap:wrap;gap:.5rem;margin:1rem 0}\
label{flex:1 1 100%}\
input{flex:1 1 15rem}\
input,button{font:inherit;padding:.4rem .6rem}";

/// The header `Content-Security-Policy` of every page. The hash is that of the style: even if something foreign got
/// into a page, a browser would neither run nor load nor style by it.
pub const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; \
    style-src 'sha256-SBj5XawlClhntWzYqzi753yCyPj3ll5Ttj5PBthtt0c='; \
    form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_names_the_hash_of_the_style() {
        let expected = format!("'sha256-{}'", base64(&sha256(STYLE.as_bytes())));
        assert!(CONTENT_SECURITY_POLICY.contains(&expected), "{expected}");
        assert_eq!(
            base64(&sha256(b"abc")),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="
        );
    }

    /// The first 32 bits of the fractional parts of a root of the first primes: how SHA-256 makes its constants.
    fn constants(count: usize, root: impl Fn(f64) -> f64) -> Vec<u32> {
        (2_u32..)
            .filter(|number| (2..*number).all(|divisor| number % divisor != 0))
            .take(count)
            .map(|prime| {
                let fraction = root(f64::from(prime)).fract();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
                let bits = (fraction * 4_294_967_296.0) as u32;
                bits
            })
            .collect()
    }

    /// FIPS 180-4, for a test only: short, not fast.
    fn sha256(message: &[u8]) -> Vec<u8> {
        let mut state = constants(8, f64::sqrt);
        let keys = constants(64, f64::cbrt);
        let mut padded = message.to_vec();
        padded.push(0x80);
        padded.resize((padded.len() + 8).next_multiple_of(64) - 8, 0);
        padded.extend((message.len() as u64 * 8).to_be_bytes());
        for block in padded.chunks(64) {
            let mut words: Vec<u32> = block
                .chunks(4)
                .map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()))
                .collect();
            for at in 16..64 {
                let (early, late) = (words[at - 15], words[at - 2]);
                let early = early.rotate_right(7) ^ early.rotate_right(18) ^ (early >> 3);
                let late = late.rotate_right(17) ^ late.rotate_right(19) ^ (late >> 10);
                let sum = words[at - 16].wrapping_add(early);
                words.push(sum.wrapping_add(words[at - 7]).wrapping_add(late));
            }
            let mut turn = state.clone();
            for (key, word) in keys.iter().zip(&words) {
                let (a, e) = (turn[0], turn[4]);
                let mix = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
                let choice = (e & turn[5]) ^ (!e & turn[6]);
                let first = [mix, choice, *key, *word]
                    .iter()
                    .fold(turn[7], |sum, term| sum.wrapping_add(*term));
                let mix = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
                let majority = (a & turn[1]) ^ (a & turn[2]) ^ (turn[1] & turn[2]);
                turn.rotate_right(1);
                turn[4] = turn[4].wrapping_add(first);
                turn[0] = first.wrapping_add(mix).wrapping_add(majority);
            }
            for (word, turned) in state.iter_mut().zip(turn) {
                *word = word.wrapping_add(turned);
            }
        }
        state.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    fn base64(bytes: &[u8]) -> String {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut text = String::new();
        for group in bytes.chunks(3) {
            let bits = (0..3).fold(0_u32, |bits, at| {
                bits << 8 | u32::from(*group.get(at).unwrap_or(&0))
            });
            for at in 0..4 {
                let letter = LETTERS[(bits >> (18 - 6 * at)) as usize & 63];
                text.push(if at > group.len() {
                    '='
                } else {
                    char::from(letter)
                });
            }
        }
        text
    }
}
