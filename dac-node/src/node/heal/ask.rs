//! One question to one member.

use std::sync::Arc;
use std::time::Duration;

use super::super::Shared;
use crate::net::Class;
use dac_node_engine::message::{Message, Question, Reply};

/// The answer; `None` when the member is not connected, its queue is full, or it does not answer in time.
pub(super) async fn ask(
    shared: &Arc<Shared>,
    peer: u16,
    question: Question,
    deadline: Duration,
) -> Option<Reply> {
    let mut asked = shared.reader.open();
    shared.network.send(peer, Class::Repair, Message::Ask(asked.request(), question).to_frame()).ok()?;
    let answer = async {
        loop {
            match asked.next().await? {
                (from, Message::Reply(_, reply)) if from == peer => return Some(reply),
                // Numbers can be guessed: whoever was not asked is not heard.
                _ => {}
            }
        }
    };
    tokio::time::timeout(deadline, answer).await.ok().flatten()
}

/// Every other member that is connected, in random order.
pub(super) fn peers(shared: &Shared) -> Vec<u16> {
    use rand::seq::SliceRandom;
    let mut peers: Vec<u16> = shared.network.connected().borrow().iter().collect();
    peers.retain(|seat| *seat != shared.engine.seat);
    peers.shuffle(&mut rand::rng());
    peers
}
