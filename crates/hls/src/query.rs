/// What a request for a media playlist asks for by its query (RFC 8216bis, 6.2.5): delivery
/// directives. All else in the query is somebody else's, and passed over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PlaylistQuery {
    pub(crate) wanted: Option<Wanted>,
    pub(crate) skip: bool,
}

/// What the playlist must have before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// `_HLS_msn`: the segment of this number,
    pub(crate) sequence: u64,
    /// `_HLS_part`: or already this part of it.
    pub(crate) part: Option<u64>,
}

/// Why a query cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not a number.
    #[error("{0} must be a decimal number of at most 19 digits")]
    NotANumber(&'static str),
    /// Not what delta updates are asked for with.
    #[error("_HLS_skip must be YES or v2")]
    Skip,
    /// Said twice.
    #[error("{0} is there twice")]
    Twice(&'static str),
    /// A part of no segment.
    #[error("_HLS_part needs _HLS_msn beside it")]
    PartOfNothing,
}

impl PlaylistQuery {
    /// Reads a query, without its question mark.
    ///
    /// # Errors
    /// Where a directive is not what the specification has.
    pub fn parse(query: &str) -> Result<Self, QueryError> {
        let (mut sequence, mut part, mut skip) = (None, None, None);
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            match name {
                "_HLS_msn" => once("_HLS_msn", &mut sequence, number("_HLS_msn", value)?)?,
                "_HLS_part" => once("_HLS_part", &mut part, number("_HLS_part", value)?)?,
                "_HLS_skip" if matches!(value, "YES" | "v2") => once("_HLS_skip", &mut skip, ())?,
                "_HLS_skip" => return Err(QueryError::Skip),
                _ => {}
            }
        }
        if part.is_some() && sequence.is_none() {
            return Err(QueryError::PartOfNothing);
        }
        Ok(Self { wanted: sequence.map(|sequence| Wanted { sequence, part }), skip: skip.is_some() })
    }
}

fn once<T>(name: &'static str, place: &mut Option<T>, value: T) -> Result<(), QueryError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(QueryError::Twice(name)),
    }
}

fn number(name: &'static str, value: &str) -> Result<u64, QueryError> {
    let digits = (1..=19).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
    value.parse().ok().filter(|_| digits).ok_or(QueryError::NotANumber(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wanted(sequence: u64, part: Option<u64>, skip: bool) -> Result<PlaylistQuery, QueryError> {
        Ok(PlaylistQuery { wanted: Some(Wanted { sequence, part }), skip })
    }

    #[test]
    fn directives_among_other_things() {
        for (query, expected) in [
            ("", Ok(PlaylistQuery::default())),
            ("token=abc&_HLSmsn=x&&=", Ok(PlaylistQuery::default())),
            ("_HLS_msn=7", wanted(7, None, false)),
            ("_HLS_part=3&token=a%20b&_HLS_msn=7", wanted(7, Some(3), false)),
            ("_HLS_msn=7&_HLS_skip=YES", wanted(7, None, true)),
            ("_HLS_msn=7&_HLS_skip=v2", wanted(7, None, true)),
            ("_HLS_skip=YES", Ok(PlaylistQuery { wanted: None, skip: true })),
            ("_HLS_msn=9999999999999999999", wanted(9_999_999_999_999_999_999, None, false)),
        ] {
            assert_eq!(PlaylistQuery::parse(query), expected, "{query}");
        }
    }

    #[test]
    fn nonsense_is_refused_in_words() {
        for (query, words) in [
            ("_HLS_part=1", "_HLS_part needs _HLS_msn beside it"),
            ("_HLS_msn", "_HLS_msn must be a decimal number of at most 19 digits"),
            ("_HLS_msn=", "_HLS_msn must be a decimal number of at most 19 digits"),
            ("_HLS_msn=-1", "_HLS_msn must be a decimal number of at most 19 digits"),
            ("_HLS_msn=+1", "_HLS_msn must be a decimal number of at most 19 digits"),
            ("_HLS_msn=1&_HLS_part=0x2", "_HLS_part must be a decimal number of at most 19 digits"),
            ("_HLS_msn=99999999999999999999", "_HLS_msn must be a decimal number of at most 19 digits"),
            ("_HLS_msn=1&_HLS_msn=1", "_HLS_msn is there twice"),
            ("_HLS_skip=yes", "_HLS_skip must be YES or v2"),
        ] {
            let error = PlaylistQuery::parse(query).expect_err(query);
            assert_eq!(error.to_string(), words, "{query}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_harm(query in "([_HLSmsnpartkip]{0,9}[=&]?[0-9v]{0,22}){0,6}|\\PC*") {
            let _ = PlaylistQuery::parse(&query);
        }
    }
}
