//! Waiting for what a member says, never for a time.

use std::time::Duration;

/// Asks again until the answer is `Some`.
///
/// For facts that only HTTP shows and nothing announces, such as an expired copy being gone.
///
/// # Panics
/// After three minutes, with `what` was waited for: what takes seconds on a quiet machine takes a minute on a shared one.
pub async fn until<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let asking = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(180), asking).await {
        Ok(answer) => answer,
        Err(_) => panic!("waited three minutes in vain: {what}"),
    }
}
