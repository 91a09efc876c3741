//! One EVM, one transaction at a time.

use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use alloy_sol_types::{SolCall, SolError};
use anyhow::{Context as _, anyhow, bail};
use revm::context::result::{ExecutionResult, Output};
use revm::context::{BlockEnv, CfgEnv, Journal, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::primitives::hardfork::SpecId;
use revm::{Context, Database, ExecuteCommitEvm, MainBuilder, MainContext, MainnetEvm};

type Db = CacheDB<EmptyDB>;
type Evm = MainnetEvm<Context<BlockEnv, TxEnv, CfgEnv, Db, Journal<Db>>>;

/// Gas of every transaction; what is not used costs nothing.
const GAS_LIMIT: u64 = 30_000_000;

/// A chain with one block time and no miner.
#[expect(missing_debug_implementations, reason = "the EVM has none")]
pub struct Chain {
    evm: Evm,
}

/// What a transaction returned, emitted and cost.
#[derive(Clone, Debug)]
pub struct Receipt<T> {
    /// The decoded answer.
    pub output: T,
    /// Gas of the whole transaction, calldata and the base 21,000 included.
    pub gas: u64,
    /// Events, in order.
    pub logs: Vec<Log>,
}

/// A transaction that reverted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("reverted with {data} after {gas} gas")]
pub struct Refused {
    /// The encoded error.
    pub data: Bytes,
    /// Gas of the whole transaction.
    pub gas: u64,
}

impl Refused {
    /// The error, if it is this one.
    pub fn decode<E: SolError>(&self) -> Option<E> {
        E::abi_decode(&self.data).ok()
    }
}

impl Chain {
    /// An empty chain at `now`, Unix seconds.
    pub fn new(chain_id: u64, now: u64) -> Self {
        let evm = Context::mainnet()
            .with_db(CacheDB::new(EmptyDB::default()))
            .modify_cfg_chained(|config| {
                config.set_spec_and_mainnet_gas_params(SpecId::PRAGUE);
                config.chain_id = chain_id;
                config.disable_nonce_check = true;
            })
            .modify_block_chained(|block| {
                block.timestamp = U256::from(now);
                block.gas_limit = GAS_LIMIT;
                block.basefee = 0;
            })
            .build_mainnet();
        Self { evm }
    }

    /// The time of the next block.
    pub fn now(&self) -> u64 {
        self.evm.ctx.block.timestamp.saturating_to()
    }

    /// Sets the time of the next block.
    pub fn set_now(&mut self, now: u64) {
        self.evm.ctx.block.timestamp = U256::from(now);
    }

    /// The chain's id.
    pub fn chain_id(&self) -> u64 {
        self.evm.ctx.cfg.chain_id
    }

    /// Changes the chain's id, as a fork of the chain does.
    pub fn set_chain_id(&mut self, chain_id: u64) {
        self.evm.ctx.cfg.chain_id = chain_id;
    }

    /// Creates a contract: init code with encoded arguments after it.
    ///
    /// # Errors
    /// [`Refused`] when the constructor reverted. Anything else is a broken test.
    pub fn deploy(
        &mut self,
        from: Address,
        code: &Bytes,
        arguments: &[u8],
    ) -> anyhow::Result<Receipt<Address>> {
        let data = [code.as_ref(), arguments].concat().into();
        match self.transact(from, TxKind::Create, data)? {
            ExecutionResult::Success { output: Output::Create(_, Some(address)), gas, logs, .. } => {
                Ok(Receipt { output: address, gas: gas.tx_gas_used(), logs })
            }
            ExecutionResult::Revert { output, gas, .. } => {
                Err(Refused { data: output, gas: gas.tx_gas_used() }.into())
            }
            other => bail!("not created: {other:?}"),
        }
    }

    /// Sends a transaction and decodes its answer.
    ///
    /// # Errors
    /// [`Refused`] when it reverted. Anything else is a broken test.
    pub fn send<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        call: &C,
    ) -> anyhow::Result<Receipt<C::Return>> {
        let receipt = self.send_raw(from, to, call.abi_encode().into())?;
        let output = C::abi_decode_returns(&receipt.output).context("answer")?;
        Ok(Receipt { output, gas: receipt.gas, logs: receipt.logs })
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn send_raw(&mut self, from: Address, to: Address, data: Bytes) -> anyhow::Result<Receipt<Bytes>> {
        match self.transact(from, TxKind::Call(to), data)? {
            ExecutionResult::Success { output, gas, logs, .. } => {
                Ok(Receipt { output: output.into_data(), gas: gas.tx_gas_used(), logs })
            }
            ExecutionResult::Revert { output, gas, .. } => {
                Err(Refused { data: output, gas: gas.tx_gas_used() }.into())
            }
            ExecutionResult::Halt { reason, .. } => Err(anyhow!("halted: {reason:?}")),
        }
    }

    /// The code of an account.
    ///
    /// # Errors
    /// None in practice: the database is in memory.
    pub fn code(&mut self, address: Address) -> anyhow::Result<Bytes> {
        let account = self.evm.ctx.journaled_state.database.basic(address)?.context("no account")?;
        Ok(account.code.context("no code")?.original_bytes())
    }

    /// Copies code and storage of a contract to another address, for tests that need it at a given one.
    ///
    /// # Errors
    /// When there is no contract at `from`.
    pub fn move_account(&mut self, from: Address, to: Address) -> anyhow::Result<()> {
        let accounts = &mut self.evm.ctx.journaled_state.database.cache.accounts;
        let account = accounts.get(&from).context("no account")?.clone();
        accounts.insert(to, account);
        Ok(())
    }

    fn transact(&mut self, from: Address, kind: TxKind, data: Bytes) -> anyhow::Result<ExecutionResult> {
        let transaction = TxEnv::builder()
            .caller(from)
            .kind(kind)
            .data(data)
            .gas_limit(GAS_LIMIT)
            .gas_price(0)
            .chain_id(Some(self.chain_id()))
            .build()
            .map_err(|error| anyhow!("{error:?}"))?;
        self.evm.transact_commit(transaction).map_err(|error| anyhow!("{error:?}"))
    }
}
