//! What players that carry no cookie watch with: `?token=`, signed, good for one channel or video and some hours.
//!
//! A token is a time and a code over that, its subject's id and epoch, which rises whenever somebody loses leave to
//! watch. So nothing has to be kept of those that were handed out, and every node knows them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use millrace_store::At;
use sha2::Sha256;
use time::Duration;

/// Who holds a token. One is not good in the other's place: a browser gets tokens for players, and a player, which may have
/// been given its token for an evening, gets none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bearer {
    /// A player, in its address.
    Player,
    /// A browser in which the password was given, in a cookie.
    Browser,
}

/// Makes and knows tokens.
pub(crate) struct PlayTokens(Hmac<Sha256>);

impl PlayTokens {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self(Hmac::new_from_slice(&key).expect("HMAC takes keys of any length"))
    }

    /// A token for what has that id, and until when it is good.
    pub(crate) fn issue(&self, bearer: Bearer, id: &str, epoch: i64, now: At) -> (String, At) {
        let until = At(now.plus(LIFETIME).0 / 1000 * 1000);
        let seconds = u32::try_from(until.0 / 1000).unwrap_or(u32::MAX).to_be_bytes();
        let code = self.code(bearer, id, epoch, seconds).finalize().into_bytes();
        (URL_SAFE_NO_PAD.encode([&seconds[..], &code[..CODE]].concat()), until)
    }

    /// Whether somebody may watch it with that.
    pub(crate) fn admit(&self, bearer: Bearer, id: &str, epoch: i64, token: &str, now: At) -> bool {
        let mut bytes = [0; 4 + CODE];
        if token.len() != LENGTH || URL_SAFE_NO_PAD.decode_slice(token, &mut bytes) != Ok(bytes.len()) {
            return false;
        }
        let Some((seconds, code)) = bytes.split_first_chunk::<4>() else { return false };
        i64::from(u32::from_be_bytes(*seconds)) * 1000 > now.0
            && self.code(bearer, id, epoch, *seconds).verify_truncated_left(code).is_ok()
    }

    fn code(&self, bearer: Bearer, id: &str, epoch: i64, until: [u8; 4]) -> Hmac<Sha256> {
        let mut mac = self.0.clone();
        mac.update(&[bearer as u8]);
        mac.update(id.as_bytes());
        mac.update(&epoch.to_be_bytes());
        mac.update(&until);
        mac
    }
}

impl std::fmt::Debug for PlayTokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PlayTokens(…)")
    }
}

/// Long enough for one to watch a long broadcast with.
pub(crate) const LIFETIME: Duration = Duration::hours(6);
/// Bytes of the code.
const CODE: usize = 16;
/// Characters of a token: 20 bytes in base64 without padding.
const LENGTH: usize = 27;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_subject_its_epoch_and_its_time() {
        let tokens = PlayTokens::new([1; 32]);
        let now = At(1_800_000_000_000);
        let (token, until) = tokens.issue(Bearer::Player, "one", 0, now);
        let good = |token: &str, now| tokens.admit(Bearer::Player, "one", 0, token, now);
        assert!(good(&token, now) && good(&token, At(until.0 - 1)));
        assert!(!good(&token, until), "its time is over");
        assert!(!tokens.admit(Bearer::Browser, "one", 0, &token, now), "a player's is no cookie");
        assert!(!tokens.admit(Bearer::Player, "other", 0, &token, now));
        assert!(!PlayTokens::new([2; 32]).admit(Bearer::Player, "one", 0, &token, now), "another site's");
        assert!(!tokens.admit(Bearer::Player, "one", 1, &token, now), "leave was taken back");
        for at in 0..LENGTH {
            let mut changed = token.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            assert!(!good(std::str::from_utf8(&changed).unwrap(), now));
            assert!(!good(&token[..at], now));
        }
        assert!(!good(&"é".repeat(14)[..LENGTH - 1], now));
    }
}
