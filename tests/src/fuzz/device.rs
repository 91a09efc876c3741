//! What a hash device says to its host, and what reaches a simulated device from any host.

use fpga::link::{Decoder, Frame, RESYNC_BYTES, STREAM_BYTES_MAX};
use fpga::packet::{DIGEST_BYTES, HEADER_BYTES, Header, checksum};
use fpga::registers::CAPABILITIES;
use fpga::{Endpoint, Model};

/// Where a header's own checksum stands, after 44 bytes that it covers with the 16 behind it.
const HEADER_CRC_AT: usize = 44;

/// Bytes of a link, cut as the first byte says: frames or refused, in both directions; what is a frame has one encoding,
/// nothing grows beyond what came, and a host's reset is found behind anything.
pub fn link(input: &[u8]) {
    let Some((cut, bytes)) = input.split_first() else { return };
    let (mut host, mut device) = (Decoder::of_host(), Decoder::of_device());
    for part in bytes.chunks(1 + usize::from(*cut)) {
        host.push(part);
        while let Some(frame) = host.next_frame_or_reset() {
            same_again(&frame, false);
        }
        device.push(part);
        while let Ok(Some(frame)) = device.next_frame() {
            same_again(&frame, true);
        }
        assert!(host.pending_bytes() <= bytes.len() && device.pending_bytes() <= bytes.len());
    }
    let mut reset = vec![0; RESYNC_BYTES];
    Frame::Reset { number: 7 }.encode(false, &mut reset);
    host.push(&reset);
    let last = std::iter::from_fn(|| host.next_frame_or_reset()).last();
    assert_eq!(last, Some(Frame::Reset { number: 7 }), "a reset is found behind anything");
}

fn same_again(frame: &Frame, to_host: bool) {
    if let Frame::Stream(data) = frame {
        assert!((1..=STREAM_BYTES_MAX).contains(&data.len()));
    }
    let mut bytes = Vec::new();
    frame.encode(to_host, &mut bytes);
    let mut decoder = if to_host { Decoder::of_device() } else { Decoder::of_host() };
    decoder.push(&bytes);
    assert_eq!(decoder.next_frame(), Ok(Some(frame.clone())), "a frame has one encoding");
}

/// A header: decoded or refused, as a reply and as a request. Its checksum is made right, or nothing would pass it; what
/// follows it goes to a device as its payload, which answers in proportion or waits.
pub fn packet(input: &[u8]) {
    let Some((head, rest)) = input.split_first_chunk::<HEADER_BYTES>() else { return };
    let mut head = *head;
    if let Ok(header) = Header::decode(&head) {
        assert_eq!(header.encode(), head, "a header has one encoding");
    }
    head[HEADER_CRC_AT..HEADER_CRC_AT + 4].fill(0);
    let right = checksum(&head);
    head[HEADER_CRC_AT..HEADER_CRC_AT + 4].copy_from_slice(&right.to_le_bytes());
    let Ok(header) = Header::decode(&head) else { return };
    assert_eq!(header.encode(), head, "a header has one encoding");
    if let Ok(status) = header.check_reply() {
        assert!(status.number() == 0 || header.padded_payload_bytes() == 0, "an error carries nothing");
    }
    let mut model = Model::keccak();
    let mut output = Vec::new();
    model.accept(&head);
    model.work(&mut output);
    let taken = model.accept(rest);
    model.work(&mut output);
    // A reply a header: a loopback's bytes, or a digest for each item of at least no bytes.
    let replies_max = 1 + taken / HEADER_BYTES;
    let items_max = 128 * (DIGEST_BYTES as usize);
    assert!(output.len() <= replies_max * (HEADER_BYTES + items_max), "{} bytes of replies", output.len());
    model.reg_read(CAPABILITIES).expect("a model answers");
}
