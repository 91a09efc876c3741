//! Certificates of committees of every size, judged by the verifier on a real chain.

use alloy_primitives::{Address as L1Address, Bytes, hex};
use alloy_sol_types::SolCall;
use attest::{Committee, Domain, SeatIndex, Thresholds};
use contracts::CommitteeRegistry;
use contracts::ICommitteeRegistry::Announcement;
use contracts::harness::{NEW_KEYS_MAX, Seats, contact, padded_proof};
use dac_node::settlement::operator::Error;
use serde_json::json;

use crate::l1::{CHAIN_ID, Chain, DELAY};

const ROLLUP: [u8; 32] = [0x5e; 32];

/// Sends from an account whose key nobody has: a test chain lets it.
async fn send_as(chain: &Chain, from: L1Address, call: &impl SolCall) {
    let balance = "0x56bc75e2d63100000";
    chain.owner.test_chain("anvil_setBalance", json!([from, balance])).await.unwrap();
    let data = hex::encode_prefixed(call.abi_encode());
    let transaction = json!([{ "from": from, "to": chain.registry, "data": data }]);
    chain.owner.test_chain("eth_sendTransaction", transaction).await.unwrap();
}

async fn install(chain: &Chain, epoch: u64, seats: &Seats, thresholds: Thresholds) -> Committee {
    let domain = Domain { chain_id: CHAIN_ID, registry: chain.terms().address };
    for seat in 0..seats.members() {
        let (key, operator) = (seats.key(seat), seats.operator(seat));
        let proof = key.prove_possession(&domain, attest::Address(operator.into_array()));
        let call = CommitteeRegistry::registerCall {
            key: key.public_key().to_padded().to_vec().into(),
            proof: padded_proof(proof).unwrap(),
            contact: contact("alpha"),
        };
        send_as(chain, operator, &call).await;
    }
    let ahead = seats.members().saturating_sub(NEW_KEYS_MAX);
    for first in (0..ahead).step_by(usize::from(NEW_KEYS_MAX)) {
        let keys: Bytes = seats.padded_keys(first..ahead.min(first + NEW_KEYS_MAX));
        chain.owner.send(chain.registry, &CommitteeRegistry::storeKeysCall { keys }).await.unwrap();
    }
    let (_, now) = chain.owner.now().await.unwrap();
    let announcement = Announcement {
        epoch,
        minimumShards: thresholds.minimum_shards(),
        quorum: thresholds.quorum(),
        activatesAt: alloy_primitives::aliases::U48::saturating_from(now + DELAY + 20),
        members: seats.ids(),
        newKeys: seats.padded_keys(ahead..seats.members()),
    };
    chain.owner.send(chain.registry, &CommitteeRegistry::announceCall { announcement }).await.unwrap();
    chain.pass(DELAY + 20).await;
    seats.committee(epoch, domain, thresholds).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn anvil_accepts_certificates_of_every_size_and_nothing_below_quorum() {
    let chain = Chain::deploy().await;
    chain.owner.test_chain("anvil_autoImpersonateAccount", json!([true])).await.unwrap();
    for (epoch, members) in (1..).zip([1u16, 4, 7, 32, 128]) {
        let seats = Seats::new(&format!("anvil {members}"), members).unwrap();
        let quorum = members - (members - 1) / 3;
        let thresholds = Thresholds::new(members, (members - 1) / 3 + 1, quorum).unwrap();
        let committee = install(&chain, epoch, &seats, thresholds).await;
        let retain_until = chain.owner.now().await.unwrap().1 + 3600;
        let certify = |signers: Vec<u16>| seats.certify(&committee, ROLLUP, retain_until, signers).unwrap();
        chain.accepts(&certify((0..members).collect())).await;
        chain.accepts(&certify((0..quorum).collect())).await;
        chain.accepts(&certify((members - quorum..members).collect())).await;
        if quorum > 1 {
            let mut fewer = certify((0..members).collect());
            fewer.signers = attest::Signers::from_seats(members, (1..quorum).map(SeatIndex)).unwrap();
            let refused = chain.judge(&fewer).await;
            let is_named = matches!(&refused, Err(Error::Refused(why)) if why.contains("BelowQuorum"));
            assert!(is_named, "{members}: {refused:?}");
        }
    }
}
