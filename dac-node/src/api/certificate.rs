//! `GET /v1/batches/{id}/certificate`: JSON, SCALE or ABI, by `Accept` (RFC 9110 section 12.5.1).

use attest::{Certificate, Encode};
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::name::{BatchName, NO_CACHE, Names};
use super::problem::{Code, Problem};
use super::{Api, Shared};
use crate::service::Reason;

/// Media type of the form for L1: `abi.encode` of the certificate (PROTOCOL section 4).
pub const ABI_MEDIA_TYPE: &str = "application/vnd.ethereum.abi";
/// Media type of the SCALE form.
pub(super) const SCALE_MEDIA_TYPE: &str = "application/octet-stream";
/// Media type of the JSON form.
pub(super) const JSON_MEDIA_TYPE: &str = "application/json";

/// Certificate of a batch
///
/// The certificate travels with its domain and statement; verifying it needs the committee file and nothing else.
/// It may gain late signers for a short while after it first appears.
#[utoipa::path(
    get,
    path = "/v1/batches/{id}/certificate",
    tag = "batches",
    params(
        ("id" = String, Path, description = "batch id or data hash, 0x and 64 hex digits"),
        ("accept" = Option<String>, Header, description = "application/json (default), application/octet-stream (SCALE) or application/vnd.ethereum.abi"),
    ),
    responses(
        (status = 200, description = "the certificate", content(
            (super::openapi::CertificateDocument = "application/json"),
            (Vec<u8> = "application/octet-stream"),
            (Vec<u8> = "application/vnd.ethereum.abi"),
        )),
        (status = 400, response = super::openapi::ProblemResponse),
        (status = 404, response = super::openapi::ProblemResponse),
        (status = 406, response = super::openapi::ProblemResponse),
    )
)]
pub(super) async fn get_certificate(
    State(api): State<Shared>,
    Names(name): Names<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let name = BatchName::parse(&name)?;
    let form = negotiate(&headers, &[JSON_MEDIA_TYPE, SCALE_MEDIA_TYPE, ABI_MEDIA_TYPE])?;
    let certificate = find(&api, name).await?;
    encode(&certificate, form)
}

async fn find(api: &Api, name: BatchName) -> Result<Certificate, Problem> {
    for reading in name.readings() {
        if let Some(certificate) = api.backend.certificate(reading).await {
            return Ok(certificate);
        }
        if let Some(status) = api.backend.status(reading).await {
            let stage = serde_json::to_value(status.stage).unwrap_or_default();
            let detail = format!("the batch has no certificate here, its stage is {stage}");
            return Err(Problem::new(Code::NotCertified, detail).about(status.batch_id));
        }
    }
    Err(name.unknown())
}

fn encode(certificate: &Certificate, form: &'static str) -> Result<Response, Problem> {
    let bytes = match form {
        ABI_MEDIA_TYPE => certificate.to_abi().map_err(|error| {
            tracing::error!(batch_id = %certificate.batch_id(), %error, "stored certificate has no ABI form");
            Problem::new(Code::Refused(Reason::StorageError), error.to_string())
        })?,
        SCALE_MEDIA_TYPE => certificate.encode(),
        _ => certificate.to_json().into_bytes(),
    };
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(NO_CACHE));
    headers.insert(header::VARY, HeaderValue::from_static("accept"));
    if let Ok(id) = HeaderValue::from_str(&certificate.batch_id().to_string()) {
        headers.insert("dac-batch-id", id);
    }
    Ok(response)
}

/// Picks the first offer with the highest quality that the client accepts; the first offer when it names nothing.
///
/// # Errors
/// `not_acceptable` with the list of offers.
pub(super) fn negotiate(headers: &HeaderMap, offers: &[&'static str]) -> Result<&'static str, Problem> {
    let mut accepted = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        let text = value
            .to_str()
            .map_err(|_| Problem::header(Code::MalformedHeader, "accept", "not visible ASCII"))?;
        accepted.extend(text.split(',').filter(|item| !item.trim().is_empty()).map(MediaRange::parse));
    }
    if accepted.is_empty() {
        return Ok(offers[0]);
    }
    let mut best = None;
    for offer in offers {
        let quality = quality(&accepted, offer);
        if quality > best.map_or(0, |(quality, _)| quality) {
            best = Some((quality, *offer));
        }
    }
    best.map(|(_, offer)| offer)
        .ok_or_else(|| Problem::new(Code::NotAcceptable, format!("on offer: {}", offers.join(", "))))
}

/// The most specific range that names the offer decides (section 12.5.1).
fn quality(accepted: &[MediaRange<'_>], offer: &str) -> u32 {
    accepted
        .iter()
        .filter_map(|range| range.specificity(offer).map(|specificity| (specificity, range.quality)))
        .max()
        .map_or(0, |(_, quality)| quality)
}

struct MediaRange<'a> {
    name: &'a str,
    /// Thousandths.
    quality: u32,
}

impl<'a> MediaRange<'a> {
    fn parse(item: &'a str) -> Self {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts
            .filter_map(|parameter| parameter.split_once('='))
            .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
            .map_or(1000, |(_, value)| thousandths(value.trim()));
        MediaRange { name, quality }
    }

    fn specificity(&self, offer: &str) -> Option<u8> {
        let kind = offer.split('/').next().unwrap_or_default();
        if self.name.eq_ignore_ascii_case(offer) {
            return Some(2);
        }
        match self.name.split_once('/') {
            Some(("*", "*")) => Some(0),
            Some((name, "*")) if name.eq_ignore_ascii_case(kind) => Some(1),
            _ => None,
        }
    }
}

/// `0.5` is 500. Anything that is no quality value of section 12.4.2 counts as zero: not wanted.
fn thousandths(value: &str) -> u32 {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return 0;
    }
    match (whole, format!("{fraction:0<3}").parse::<u32>()) {
        ("0", Ok(thousandths)) => thousandths,
        ("1", Ok(0)) => 1000,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OFFERS: [&str; 3] = [JSON_MEDIA_TYPE, SCALE_MEDIA_TYPE, ABI_MEDIA_TYPE];

    fn choice(accept: &str) -> Result<&'static str, u16> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_str(accept).unwrap());
        negotiate(&headers, &OFFERS).map_err(|problem| problem.status)
    }

    #[test]
    fn the_most_wanted_form_wins_and_json_by_default() {
        assert_eq!(negotiate(&HeaderMap::new(), &OFFERS).ok(), Some(JSON_MEDIA_TYPE));
        assert_eq!(choice("*/*"), Ok(JSON_MEDIA_TYPE));
        assert_eq!(choice("application/*"), Ok(JSON_MEDIA_TYPE));
        assert_eq!(choice("application/octet-stream"), Ok(SCALE_MEDIA_TYPE));
        assert_eq!(choice("Application/Octet-Stream;q=0.1"), Ok(SCALE_MEDIA_TYPE));
        assert_eq!(choice("application/json;q=0.2, application/vnd.ethereum.abi;q=0.3"), Ok(ABI_MEDIA_TYPE));
        assert_eq!(choice("application/json;q=0, */*;q=0.1"), Ok(SCALE_MEDIA_TYPE));
    }

    #[test]
    fn other_forms_are_not_acceptable() {
        for accept in ["text/html", "application/json;q=0", "application/json;q=2", "text/*", "json"] {
            assert_eq!(choice(accept), Err(406), "{accept}");
        }
    }
}
