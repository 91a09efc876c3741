//! Reading a certified batch: whole, in parts, by both names, shard by shard; every piece proves where it belongs.

use attest::ShardsRoot;
use bytes::Bytes;
use dac_node_coding::{Coder, Layout, Piece, decode_stripe};
use e2e::{Certified, real_batch};

use crate::shared::{Shared, shared};

async fn certified(shared: &Shared) -> (Certified, Bytes) {
    let batch = real_batch("scroll-block-03.json");
    let answer = shared.rollup.submit(&shared.api[1], &batch, shared.times()).await;
    (answer.certified(&shared.committee), batch)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_has_two_names_and_every_member_knows_both() {
    let shared = shared().await;
    let (certified, batch) = certified(shared).await;
    let hash = certified.certificate.statement().data_hash;
    for api in &shared.api {
        for name in [certified.batch_id.to_string(), hash.to_string()] {
            let answer = shared.rollup.get(api, &format!("/v1/batches/{name}")).await;
            assert_eq!(answer.header("etag"), format!("\"{hash}\""));
            assert_eq!(answer.header("dac-data-hash"), hash.to_string());
            assert_eq!(answer.header("content-length"), batch.len().to_string());
            assert!(answer.ok() == batch, "{api} {name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_range_is_that_part_of_the_batch() {
    let shared = shared().await;
    let (certified, batch) = certified(shared).await;
    let (path, length) = (format!("/v1/batches/{}", certified.batch_id), batch.len());
    // Inside a stripe, over the end of one (3 * 32 KiB), the last bytes, open ended, longer than there is.
    let ranges = [
        ("bytes=0-0".to_owned(), 0..1),
        ("bytes=98000-98999".to_owned(), 98_000..99_000),
        ("bytes=1-400000".to_owned(), 1..400_001),
        ("bytes=-100".to_owned(), length - 100..length),
        (format!("bytes={}-", length - 1), length - 1..length),
        (format!("bytes=500000-{}", length * 2), 500_000..length),
    ];
    for (seat, (range, expected)) in ranges.into_iter().enumerate() {
        let answer = shared.rollup.get_with(&shared.api[seat], &path, "range", &range).await;
        assert_eq!(answer.status, 206, "{range}: {}", answer.text());
        let content_range = format!("bytes {}-{}/{length}", expected.start, expected.end - 1);
        assert_eq!(answer.header("content-range"), content_range, "{range}");
        assert!(answer.body == batch[expected], "{range}");
    }
    for range in [format!("bytes={length}-"), format!("bytes={}-{}", length + 5, length + 9)] {
        let answer = shared.rollup.get_with(&shared.api[0], &path, "range", &range).await;
        let problem = answer.problem(416, "range_not_satisfiable");
        assert_eq!(problem["data_bytes"], length);
        assert_eq!(answer.header("content-range"), format!("bytes */{length}"));
    }
    let tag = format!("\"{}\"", certified.certificate.statement().data_hash);
    assert_eq!(shared.rollup.get_with(&shared.api[0], &path, "if-none-match", &tag).await.status, 304);
}

#[tokio::test(flavor = "multi_thread")]
async fn any_three_pieces_over_http_verify_and_rebuild_the_batch() {
    let shared = shared().await;
    let (certified, batch) = certified(shared).await;
    let root = certified.certificate.statement().shards_root;
    let layout = Layout::new(7, 3, batch.len() as u64).unwrap();
    let (hasher, coder) = (fpga_hash::software(), Coder::new(7, 3).unwrap());
    let mut rebuilt = Vec::new();
    for stripe in 0..layout.stripes() {
        let mut pieces = Vec::new();
        for seat in [1, 4, 6] {
            let piece = piece(shared, &certified, stripe, seat).await;
            pieces.push(piece.check(&layout, &root, &*hasher).unwrap());
        }
        let decoded = decode_stripe(&coder, &layout, stripe, &pieces, &*hasher).unwrap();
        rebuilt.extend_from_slice(&decoded.data());
    }
    assert!(rebuilt == batch, "pieces of members 1, 4 and 6 are another batch");
    let foreign = piece(shared, &certified, 0, 2).await.check(&layout, &ShardsRoot([7; 32]), &*hasher);
    assert!(foreign.is_err(), "the root decides");
}

/// A member's own piece, from that member.
async fn piece(shared: &Shared, certified: &Certified, stripe: u32, seat: u16) -> Piece {
    let path = format!("/v1/batches/{}/pieces/{stripe}/{seat}", certified.batch_id);
    let json = shared.rollup.get(&shared.api[usize::from(seat)], &path).await.json();
    let bytes =
        |text: &serde_json::Value| hex::decode(text.as_str().unwrap().trim_start_matches("0x")).unwrap();
    let path = json["path"].as_array().unwrap().iter().map(|node| bytes(node).try_into().unwrap());
    assert_eq!((&json["stripe"], &json["index"]), (&stripe.into(), &seat.into()));
    Piece { stripe, index: seat, bytes: bytes(&json["bytes"]).into(), path: path.collect() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_is_its_pieces_and_the_first_three_are_the_batch() {
    let shared = shared().await;
    let (certified, batch) = certified(shared).await;
    let layout = Layout::new(7, 3, batch.len() as u64).unwrap();
    let coder = Coder::new(7, 3).unwrap();
    for seat in 0..7u16 {
        let path = format!("/v1/batches/{}/shards/{seat}", certified.batch_id);
        let answer = shared.rollup.get(&shared.api[usize::from(seat)], &path).await;
        assert_eq!(answer.header("dac-shard-index"), seat.to_string());
        let shard = answer.ok();
        assert_eq!(shard.len(), layout.shard_bytes());
        for stripe in 0..layout.stripes() {
            // The data of a stripe is zero-padded by the coder; the shard must be what it makes of it.
            let encoded = coder.encode_stripe(&layout, stripe, &batch[layout.stripe_range(stripe)]);
            assert!(
                shard.slice(layout.shard_range(stripe)) == encoded.bytes(seat),
                "member {seat}, {stripe}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_outside_the_batch_is_named() {
    let shared = shared().await;
    let (certified, _) = certified(shared).await;
    let batch = format!("/v1/batches/{}", certified.batch_id);
    for (path, detail) in [
        ("shards/7", "shard 7 is out of range (below 7)"),
        ("pieces/0/7", "shard 7 is out of range (below 7)"),
        ("pieces/6/0", "stripe 6 is out of range (below 6)"),
    ] {
        let answer = shared.rollup.get(&shared.api[0], &format!("{batch}/{path}")).await;
        assert_eq!(answer.problem(404, "out_of_range")["detail"], detail);
    }
    for path in ["shards/x", "shards/-1", "pieces/0/70000", "pieces/4294967296/0"] {
        let answer = shared.rollup.get(&shared.api[0], &format!("{batch}/{path}")).await;
        answer.problem(400, "malformed_path");
    }
}
