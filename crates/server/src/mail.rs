//! The mail server of the configuration.

use millrace_site::Mail;

use crate::config::Config;

/// Why letters cannot be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MailError {
    /// Nobody to write in the name of.
    #[error("mail.url is set and mail.from is not: set it to the address that letters come from")]
    NoSender,
    /// Links would lead nowhere.
    #[error(
        "mail.url is set and site.public_url is not: set it to the site's address, which the links in letters begin with"
    )]
    NoAddress,
}

/// The mail server, where one is configured.
pub(crate) fn load(config: &Config) -> Result<Option<Mail>, MailError> {
    let Some(server) = &config.mail.url else { return Ok(None) };
    let from = config.mail.from.as_ref().ok_or(MailError::NoSender)?;
    let origin = config.site.public_url.as_ref().ok_or(MailError::NoAddress)?;
    Ok(Some(Mail::new(server, from, origin.as_str())))
}
