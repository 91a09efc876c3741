//! JSON-RPC over HTTP with a bound on every answer: a provider that sends without end costs so much memory, and no more.
//!
//! What `alloy` brings reads an answer to its end before it looks at it. Everything else is as there: the body decides, whatever
//! the status, unless it is not JSON-RPC.

use std::task;

use alloy::rpc::json_rpc::{RequestPacket, ResponsePacket};
use alloy::transports::{TransportError, TransportErrorKind, TransportFut};
use tower::Service;

/// Most bytes of one answer: ten thousand events of two kilobytes, in hexadecimal.
const ANSWER_BYTES_MAX: usize = 48 << 20;

/// A provider at a URL.
#[derive(Clone, Debug)]
pub(super) struct BoundedHttp {
    client: reqwest::Client,
    url: reqwest::Url,
}

impl BoundedHttp {
    /// Nothing is asked yet.
    pub(super) fn new(url: reqwest::Url) -> BoundedHttp {
        BoundedHttp { client: reqwest::Client::new(), url }
    }

    async fn request(self, request: RequestPacket) -> Result<ResponsePacket, TransportError> {
        let sent = self.client.post(self.url).json(&request).send().await;
        let mut answer = sent.map_err(TransportErrorKind::custom)?;
        let status = answer.status();
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(TransportErrorKind::custom)? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                let detail = format!("an answer of more than {ANSWER_BYTES_MAX} bytes");
                return Err(TransportErrorKind::custom_str(&detail));
            }
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).map_err(|error| {
            // Enough to see what it is.
            let begin = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            if status.is_success() {
                TransportError::deser_err(error, begin)
            } else {
                TransportErrorKind::http_error(status.as_u16(), begin)
            }
        })
    }
}

impl Service<RequestPacket> for BoundedHttp {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), TransportError>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> TransportFut<'static> {
        Box::pin(self.clone().request(request))
    }
}
