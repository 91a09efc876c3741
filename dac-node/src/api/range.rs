//! Range and conditional requests on one immutable representation (RFC 9110 sections 13 and 14).
//!
//! One validator: the strong entity tag `"0x<data hash>"`. There is no `Last-Modified`, so a date never matches.
//! Several ranges, and units other than bytes, are ignored, as section 14.2 permits; a malformed byte range is
//! refused, because ignoring it would send a whole batch to a client with a bug.

use std::ops::Range;

use axum::http::{HeaderMap, HeaderName, Method, header};

use super::problem::{Code, Problem};

/// What to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Selected {
    /// The whole representation, status 200.
    Whole,
    /// These bytes, status 206.
    Part(Range<u64>),
    /// Status 304.
    NotModified,
}

/// Decides by the headers of a GET or HEAD, in the order of RFC 9110 section 13.2.2.
///
/// # Errors
/// 412 for a failed `If-Match`, 416 for a range past the end, 400 for a malformed one.
pub(super) fn select(
    method: &Method,
    headers: &HeaderMap,
    tag: &str,
    length: u64,
) -> Result<Selected, Problem> {
    if let Some(tags) = text(headers, &header::IF_MATCH)?
        && !lists(tags, tag, Comparison::Strong)
    {
        let detail = format!("If-Match {tags} does not name {tag}");
        return Err(Problem::new(Code::PreconditionFailed, detail));
    }
    if let Some(tags) = text(headers, &header::IF_NONE_MATCH)?
        && lists(tags, tag, Comparison::Weak)
    {
        return Ok(Selected::NotModified);
    }
    // A range means something for GET only (section 14.2), and only while the batch is the one the client knows.
    let same = text(headers, &header::IF_RANGE)?.is_none_or(|known| known.trim() == tag);
    match text(headers, &header::RANGE)? {
        Some(range) if *method == Method::GET && same => parse(range, length),
        _ => Ok(Selected::Whole),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Problem> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    match value.to_str() {
        Ok(text) => Ok(Some(text)),
        Err(_) => Err(Problem::header(Code::MalformedHeader, name.as_str(), "not visible ASCII")),
    }
}

enum Comparison {
    Strong,
    Weak,
}

/// Whether a list of entity tags names ours. Our tag has no comma inside, so splitting at commas loses nothing.
fn lists(tags: &str, tag: &str, comparison: Comparison) -> bool {
    tags.split(',').map(str::trim).any(|candidate| match comparison {
        _ if candidate == "*" => true,
        Comparison::Strong => candidate == tag,
        Comparison::Weak => candidate.strip_prefix("W/").unwrap_or(candidate) == tag,
    })
}

/// Reads a `Range` value over `length` bytes.
fn parse(value: &str, length: u64) -> Result<Selected, Problem> {
    let malformed = || Problem::header(Code::MalformedHeader, "range", format!("{value:?} is no byte range"));
    let (unit, set) = value.split_once('=').ok_or_else(malformed)?;
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Ok(Selected::Whole);
    }
    let (first, last) = set.trim().split_once('-').ok_or_else(malformed)?;
    let past_end = || Problem::range(length, value);
    let (start, end) = match (first, last) {
        ("", suffix) => {
            let suffix = number(suffix).ok_or_else(malformed)?;
            (length.saturating_sub(suffix), length)
        }
        (first, "") => (number(first).ok_or_else(malformed)?, length),
        (first, last) => {
            let (first, last) = number(first).zip(number(last)).ok_or_else(malformed)?;
            if last < first {
                return Err(malformed());
            }
            (first, last.saturating_add(1).min(length))
        }
    };
    if start >= end { Err(past_end()) } else { Ok(Selected::Part(start..end)) }
}

/// Digits only. A number beyond 64 bits is past every end, so it saturates (section 14.1.1 sets no bound).
fn number(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part(value: &str, length: u64) -> Result<Selected, String> {
        parse(value, length).map_err(|problem| problem.code.clone())
    }

    /// RFC 9110 section 14.1.2 gives these examples for a representation of 10,000 bytes.
    #[test]
    fn reads_the_examples_of_the_rfc() {
        assert_eq!(part("bytes=0-499", 10_000), Ok(Selected::Part(0..500)));
        assert_eq!(part("bytes=500-999", 10_000), Ok(Selected::Part(500..1000)));
        assert_eq!(part("bytes=-500", 10_000), Ok(Selected::Part(9500..10_000)));
        assert_eq!(part("bytes=9500-", 10_000), Ok(Selected::Part(9500..10_000)));
        assert_eq!(part("bytes=0-0,-1", 10_000), Ok(Selected::Whole));
    }

    #[test]
    fn past_the_end_is_not_satisfiable() {
        for value in ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999999-"] {
            assert_eq!(part(value, 10), Err("range_not_satisfiable".to_owned()), "{value}");
        }
        assert_eq!(part("bytes=9-99999999999999999999999", 10), Ok(Selected::Part(9..10)));
        assert_eq!(part("bytes=-99999999999999999999999", 10), Ok(Selected::Part(0..10)));
    }

    #[test]
    fn malformed_ranges_are_refused_and_other_units_ignored() {
        for value in
            ["bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=1", "bytes=5-4", "bytes=+1-2", "bytes=1 -2"]
        {
            assert_eq!(part(value, 10), Err("malformed_header".to_owned()), "{value}");
        }
        assert_eq!(part("lines=1-2", 10), Ok(Selected::Whole));
    }

    proptest! {
        #[test]
        fn any_text_gives_a_range_inside_or_none(value in ".{0,40}", length in 1_u64..5000) {
            if let Ok(Selected::Part(range)) = parse(&value, length) {
                prop_assert!(range.start < range.end && range.end <= length);
            }
        }

        #[test]
        fn first_and_last_select_both_ends(length in 1_u64..5000, a in 0_u64..6000, b in 0_u64..6000) {
            let (first, last) = (a.min(b), a.max(b));
            let selected = part(&format!("bytes={first}-{last}"), length);
            if first < length {
                prop_assert_eq!(selected, Ok(Selected::Part(first..(last + 1).min(length))));
            } else {
                prop_assert!(selected.is_err());
            }
        }
    }
}
