//! The second factor: codes that an application makes every half minute (TOTP, RFC 6238), and recovery codes for who has
//! lost it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use millrace_store::{At, Error, Hash, User, UserId};
use qrcode::QrCode;
use qrcode::render::svg;
use time::Duration;
use totp_rs::{Builder, Totp};

use super::{Accounts, secret};

/// A second factor that is being set up. Nothing is kept of it until a code shows that the application has it.
pub(crate) struct Begun {
    /// For who types it, in base32.
    pub(crate) secret: String,
    /// For who scans it: `otpauth://…`.
    pub(crate) url: String,
    /// The same as a picture, in SVG.
    pub(crate) qr: String,
    /// The secret, sealed, to be given back with the first code.
    pub(crate) setup: String,
}

impl Accounts {
    /// Begins to set up the second factor of a user of `site`.
    pub(crate) fn begin_second_factor(&self, user: &User, site: &str) -> Option<Begun> {
        let mut secret = [0; SECRET];
        getrandom::fill(&mut secret).ok()?;
        let url = totp(&secret, site, &user.handle)?.to_url().ok()?;
        let text = url.split("secret=").nth(1)?.split('&').next()?.to_owned();
        let qr = QrCode::new(&url).ok()?.render::<svg::Color<'_>>().min_dimensions(200, 200).build();
        let end = At::now().plus(SETUP_LIFETIME).0.to_be_bytes();
        let sealed = self.sealer.seal(&owner(&user.id, "setup"), &[&end[..], &secret].concat());
        let setup = URL_SAFE_NO_PAD.encode(sealed);
        Some(Begun { secret: text, url, qr, setup })
    }

    /// Sets the second factor that `setup` holds, where `code` is of it: the recovery codes. `None` where it is not, or
    /// `setup` is too old.
    ///
    /// # Errors
    /// [`Error::Changed`] where there is a second factor, or when the database fails.
    pub(crate) async fn confirm_second_factor(
        &self,
        user: &User,
        setup: &str,
        code: &str,
    ) -> Result<Option<Vec<String>>, Error> {
        let sealed = URL_SAFE_NO_PAD.decode(setup).unwrap_or_default();
        let Ok(opened) = self.sealer.open(&owner(&user.id, "setup"), &sealed) else { return Ok(None) };
        let Some((end, secret)) = opened.split_first_chunk() else { return Ok(None) };
        if i64::from_be_bytes(*end) <= At::now().0 {
            return Ok(None);
        }
        let Some(step) = step_of(secret, code) else { return Ok(None) };
        let codes: Vec<String> = (0..RECOVERY_CODES).map(|_| recovery_code()).collect();
        let hashes: Vec<Hash> = codes.iter().map(|code| hash_of(code)).collect();
        let sealed = self.sealer.seal(&owner(&user.id, "totp"), secret);
        self.store.set_totp(&user.id, &sealed, step, &hashes).await?;
        Ok(Some(codes))
    }

    /// Whether a code is right: of the application, or a recovery code. No code is right twice.
    pub(crate) async fn take_second_factor(&self, user: &User, code: &str) -> Result<bool, Error> {
        let sealed = user.totp_secret.as_deref().unwrap_or_default();
        if let Ok(secret) = self.sealer.open(&owner(&user.id, "totp"), sealed)
            && let Some(step) = step_of(&secret, code)
        {
            return self.store.take_totp_step(&user.id, step).await;
        }
        self.store.take_recovery_code(&user.id, &hash_of(code)).await
    }
}

/// What a secret is sealed for.
fn owner(user: &UserId, purpose: &str) -> String {
    format!("{purpose} {user}")
}

fn totp(secret: &[u8], site: &str, account: &str) -> Option<Totp> {
    // Neither may hold the colon that stands between them.
    let plain = |text: &str| text.replace(':', " ");
    let builder = Builder::new().with_secret(secret.to_vec()).with_issuer(Some(plain(site)));
    builder.with_account_name(plain(account)).build().ok()
}

/// The step of time whose code this is: the present one, or one beside it.
fn step_of(secret: &[u8], code: &str) -> Option<i64> {
    let digits: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    let now = u64::try_from(At::now().0 / 1000).ok()?;
    let step = totp(secret, "site", "account")?.check(&digits, now)?;
    i64::try_from(step).ok()
}

/// 80 random bits, in groups that one can copy by hand.
fn recovery_code() -> String {
    let mut random = [0; 16];
    getrandom::fill(&mut random).expect("the operating system gives random bytes");
    let letters: String = random.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect();
    [&letters[..4], &letters[4..8], &letters[8..12], &letters[12..]].join("-")
}

fn hash_of(code: &str) -> Hash {
    let plain: String = code.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    secret::hash(&plain)
}

/// RFC 4226, 4: 160 bits are recommended.
const SECRET: usize = 20;
const RECOVERY_CODES: usize = 10;
/// So long the first code may take.
const SETUP_LIFETIME: Duration = Duration::minutes(30);
/// Letters and digits that are not mistaken for one another.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
