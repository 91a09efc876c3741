//! Transactions on L1, for the command line and the devnet: deploy, register, announce, verify.
//!
//! A transaction is answered when it is in a block. One that would revert is not sent: its error comes back by the name
//! that the contract's interface explains.

use std::time::Duration;

use alloy::network::{EthereumWallet, TransactionBuilder};
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::{DynProvider, Provider, ProviderBuilder};
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolInterface};
use attest::SubmitterKey;
use contracts::CertificateVerifier::CertificateVerifierErrors;
use contracts::CommitteeRegistry::CommitteeRegistryErrors;

/// Longest wait for one answer, and for a transaction to get into a block.
const WAIT_MAX: Duration = Duration::from_secs(120);

/// Why a transaction or a question failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nobody answered, or not in time.
    #[error("L1 does not answer: {0}")]
    Unreachable(String),
    /// The contract refused: the error's name and arguments.
    #[error("L1 refused: {0}")]
    Refused(String),
    /// An answer that is none.
    #[error("L1 answered something else: {0}")]
    Malformed(String),
}

/// What a transaction did.
#[derive(Clone, Debug)]
pub struct Done {
    /// Gas of the whole transaction.
    pub gas: u64,
    /// The contract it created, if it did.
    pub created: Option<Address>,
    /// Its hash.
    pub transaction: B256,
}

/// Somebody with a key and a provider. Without a key it only asks.
#[derive(Clone, Debug)]
pub struct Operator {
    provider: DynProvider,
    address: Address,
}

impl Operator {
    /// Connects; nothing is asked yet.
    ///
    /// # Errors
    /// [`Error::Unreachable`] when the URL is none.
    pub fn connect(url: &str, key: Option<&SubmitterKey>) -> Result<Operator, Error> {
        let url = url.parse().map_err(|error| Error::Unreachable(format!("\"{url}\": {error}")))?;
        let Some(key) = key else {
            let provider = ProviderBuilder::new().connect_http(url).erased();
            return Ok(Operator { provider, address: Address::ZERO });
        };
        let secret = B256::from(*key.to_bytes());
        let signer =
            PrivateKeySigner::from_bytes(&secret).map_err(|error| Error::Malformed(error.to_string()))?;
        let address = signer.address();
        let provider = ProviderBuilder::new().wallet(EthereumWallet::from(signer)).connect_http(url).erased();
        Ok(Operator { provider, address })
    }

    /// Its address on L1; zero without a key.
    pub fn address(&self) -> Address {
        self.address
    }

    /// The provider's chain.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn chain_id(&self) -> Result<u64, Error> {
        within(self.provider.get_chain_id()).await
    }

    /// The newest block's number and time.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn now(&self) -> Result<(u64, u64), Error> {
        let block =
            within(self.provider.get_block_by_number(alloy::eips::BlockNumberOrTag::Latest).into_future())
                .await?;
        let block = block.ok_or_else(|| Error::Malformed("no latest block".into()))?;
        Ok((block.header.number, block.header.timestamp))
    }

    /// Asks a contract.
    ///
    /// # Errors
    /// [`Error::Refused`] and the others.
    pub async fn call<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, Error> {
        let request =
            TransactionRequest::default().with_to(to).with_from(self.address).with_input(call.abi_encode());
        let answer = within(self.provider.call(request).into_future()).await?;
        C::abi_decode_returns(&answer).map_err(|error| Error::Malformed(format!("{to}: {error}")))
    }

    /// Sends a transaction and waits for its block.
    ///
    /// # Errors
    /// [`Error::Refused`] and the others.
    pub async fn send<C: SolCall>(&self, to: Address, call: &C) -> Result<Done, Error> {
        self.transact(TransactionRequest::default().with_to(to).with_input(call.abi_encode())).await
    }

    /// Creates a contract.
    ///
    /// # Errors
    /// [`Error::Refused`] and the others.
    pub async fn deploy(&self, code: &Bytes, arguments: &[u8]) -> Result<(Address, Done), Error> {
        let code = [code.as_ref(), arguments].concat();
        let done = self.transact(TransactionRequest::default().with_deploy_code(code)).await?;
        let created = done.created.ok_or_else(|| Error::Malformed("no contract was created".into()))?;
        Ok((created, done))
    }

    /// Asks the provider for something that only test chains do.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn test_chain(&self, method: &'static str, parameters: serde_json::Value) -> Result<(), Error> {
        self.ask_test_chain(method, parameters).await.map(|_| ())
    }

    /// The same, with the answer.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn ask_test_chain(
        &self,
        method: &'static str,
        parameters: serde_json::Value,
    ) -> Result<serde_json::Value, Error> {
        within(self.provider.raw_request(method.into(), parameters)).await
    }

    /// Gives an account of a test chain some ether.
    ///
    /// # Errors
    /// [`Error::Unreachable`].
    pub async fn endow(&self, account: Address) -> Result<(), Error> {
        let balance = format!("{:#x}", U256::from(10).pow(U256::from(20)));
        self.test_chain("anvil_setBalance", serde_json::json!([account, balance])).await
    }

    async fn transact(&self, request: TransactionRequest) -> Result<Done, Error> {
        let request = request.with_from(self.address);
        let pending = within(self.provider.send_transaction(request)).await?;
        let receipt = tokio::time::timeout(WAIT_MAX, pending.get_receipt()).await;
        let receipt = receipt
            .map_err(|_| Error::Unreachable(format!("no block took the transaction in {WAIT_MAX:?}")))?
            .map_err(|error| Error::Unreachable(error.to_string()))?;
        if !receipt.status() {
            return Err(Error::Refused(format!("transaction {} reverted", receipt.transaction_hash)));
        }
        Ok(Done {
            gas: receipt.gas_used,
            created: receipt.contract_address,
            transaction: receipt.transaction_hash,
        })
    }
}

/// Waits boundedly and puts errors into words.
async fn within<T>(
    request: impl Future<Output = Result<T, alloy::transports::TransportError>>,
) -> Result<T, Error> {
    match tokio::time::timeout(WAIT_MAX, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(error)) => Err(explain(&error)),
        Err(_) => Err(Error::Unreachable(format!("no answer in {WAIT_MAX:?}"))),
    }
}

/// A contract's error by name; other errors as they are.
fn explain(error: &alloy::transports::TransportError) -> Error {
    let payload = error.as_error_resp();
    let Some(data) = payload.and_then(|payload| payload.as_revert_data()) else {
        return match payload {
            Some(payload) => Error::Refused(payload.message.to_string()),
            None => Error::Unreachable(error.to_string()),
        };
    };
    if let Ok(known) = CommitteeRegistryErrors::abi_decode(&data) {
        return Error::Refused(format!("{known:?}"));
    }
    match CertificateVerifierErrors::abi_decode(&data) {
        Ok(known) => Error::Refused(format!("{known:?}")),
        Err(_) => Error::Refused(format!("error {data}")),
    }
}
