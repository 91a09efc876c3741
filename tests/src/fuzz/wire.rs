//! Frames, messages, gossip, pieces and certificates: everything that members send each other.

use attest::{Certificate, ShardsRoot};
use bytes::Bytes;
use dac_node::net::read_frame;
use dac_node_coding::Layout;
use dac_node_engine::message::{Control, FRAME_BYTES_MAX, GOSSIP_BYTES_MAX, Message};
use futures::FutureExt;
use parity_scale_codec::Encode;

/// A frame's body: decoded or refused; what decodes has one encoding, which is what was read.
pub fn message(input: &[u8]) {
    let input = &input[..input.len().min(FRAME_BYTES_MAX)];
    let Ok(message) = Message::from_body(Bytes::copy_from_slice(input)) else { return };
    assert_eq!(&message.to_frame()[4..], input, "a message has one encoding");
    if let Message::No(no) = &message {
        assert!(!no.refusal().detail.contains(char::is_control), "control characters reach the operator");
    }
}

/// Bytes of a stream: frames until the end or the first bad length, and nothing is allocated for a length that is not
/// allowed.
pub fn frame_stream(input: &[u8]) {
    let mut stream = futures::io::Cursor::new(input);
    let mut read = 0;
    while let Ok(Some(body)) = read_frame(&mut stream).now_or_never().expect("a cursor is always ready") {
        assert!(body.len() <= FRAME_BYTES_MAX);
        read += 4 + body.len();
        assert!(read <= input.len(), "more was read than there is");
        message(&body);
    }
}

/// A gossip message: decoded strictly or refused.
pub fn gossip(input: &[u8]) {
    let input = &input[..input.len().min(GOSSIP_BYTES_MAX)];
    let Ok(control) = Control::from_bytes(input) else { return };
    assert_eq!(control.encode(), input, "a gossip message has one encoding");
    if let Control::Certificate(bytes) = &control {
        certificate(bytes);
    }
}

/// A piece of a message against the shape of a batch: checked or refused, whatever its numbers and lengths are.
pub fn piece(input: &[u8]) {
    let Some((shape, body)) = input.split_first_chunk::<4>() else { return };
    let body = &body[..body.len().min(FRAME_BYTES_MAX)];
    let (n, k) = (1 + u16::from(shape[0] % 16), 1 + u16::from(shape[1]));
    let batch_bytes = 1 + u64::from(u16::from_le_bytes([shape[2], shape[3]])) * 17;
    let Ok(layout) = Layout::new(n, k, batch_bytes) else { return };
    let message = Message::from_body(Bytes::copy_from_slice(body));
    let Ok(Message::Piece(_, piece) | Message::ReadPiece(_, piece)) = message else { return };
    let refused = piece.check(&layout, &ShardsRoot::ZERO, &*fpga_hash::software()).err();
    let refused = refused.expect("no piece leads to the root zero");
    assert!(refused.is_peer_fault(), "who sent this is at fault: {refused}");
}

/// A certificate in its three forms: each decodes to what encodes to the same again, or is refused.
pub fn certificate(input: &[u8]) {
    if let Ok(certificate) = Certificate::decode_strict(input) {
        assert_eq!(certificate.encode(), input, "a certificate has one encoding");
        let json = Certificate::from_json(&certificate.to_json()).expect("its own JSON");
        assert_eq!(json, certificate);
    }
    if let Some(certificate) =
        std::str::from_utf8(input).ok().and_then(|text| Certificate::from_json(text).ok())
    {
        let again = Certificate::from_json(&certificate.to_json()).expect("its own JSON");
        assert_eq!(again, certificate);
    }
    if let Some((members, abi)) = input.split_first()
        && let Ok(certificate) = Certificate::from_abi(abi, u16::from(*members))
    {
        assert_eq!(
            certificate.to_abi().expect("it came from there"),
            abi,
            "a certificate has one ABI encoding"
        );
    }
}
