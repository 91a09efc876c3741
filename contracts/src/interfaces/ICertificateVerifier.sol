// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICommitteeRegistry } from "./ICommitteeRegistry.sol";

/// @title Checks certificates of the committee
/// @notice A certificate says: at least `q` members of the committee of its epoch signed this statement. What one
/// signature means is in PROTOCOL section 2: the member held all bytes, recomputed the roots, synced its shard to disk, and
/// serves until the times named.
///
/// The form is `abi.encode(uint64 chainId, address registry, Statement statement, uint256 signers, bytes signature)`,
/// 576 bytes; bit `i` of `signers` is seat `i`; the signature is a G1 point as EIP-2537 reads it.
///
/// Errors come in the order of the checks, cheap ones first. Some are the schedule's:
/// {ICommitteeRegistry-UnknownEpoch}, {ICommitteeRegistry-EpochNotActive}, {ICommitteeRegistry-RetentionTooLong},
/// {ICommitteeRegistry-EpochSuperseded}. Two are the signature library's, and no certificate brings them about:
/// {BLS12381-PrecompileRefused}, on a chain without the precompiles of EIP-2537; {BLS12381-SuiteTooLong}, in the ABI only, since
/// the suite is a constant of 43 bytes. Call data cut short, and gas that runs out before the pairing, revert without an error.
interface ICertificateVerifier {
    /// @notice The certificate has another length. A truncated one is one of these.
    error WrongLength(uint256 bytesFound, uint256 bytesExpected);
    /// @notice A number or address does not fit its type, or the signature is not where it belongs.
    error NotCanonical();
    /// @notice Signed for another chain.
    error ChainMismatch(uint256 found, uint256 expected);
    /// @notice Signed for the committee of another registry.
    error RegistryMismatch(address found, address expected);
    /// @notice Signed for another rollup.
    error RollupMismatch(bytes32 found, bytes32 expected);
    /// @notice A batch has 1 byte to 64 MiB.
    error DataBytesOutOfRange(uint256 found, uint256 bytesMax);
    /// @notice Full copies are not served longer than shards.
    error HotAfterRetain(uint256 hotUntil, uint256 retainUntil);
    /// @notice The committee no longer serves this batch.
    error CertificateExpired(uint256 retainUntil, uint256 blockTimestamp);
    /// @notice The epoch has another committee.
    error CommitteeHashMismatch(bytes32 found, bytes32 expected);
    /// @notice Nobody signed.
    error NoSigners();
    /// @notice A bit of a seat that the committee does not have is set.
    error SignerPastMembers(uint256 signers, uint256 members);
    /// @notice Too few members signed.
    error BelowQuorum(uint256 signers, uint256 quorum);
    /// @notice The signature is the point at infinity.
    error SignatureAtInfinity();
    /// @notice The signature is no point of the curve, or not of its subgroup. Burns all but a 64th of the gas, as the
    /// precompile does. Gas that runs out in the pairing looks the same.
    error InvalidSignaturePoint();
    /// @notice The signers did not sign this statement.
    error FalseCertificate();

    /// @notice Checks a certificate for the rollup that the caller settles.
    /// @dev About 155,000 gas for a whole transaction when all members signed. Otherwise 700 more, 1,200 for each of the fewer
    /// of signers and absent members, and 2,600 for each epoch in which some of those members first sat, other than the
    /// certificate's. Measured: snapshots/gas.json.
    /// @param rollupId The caller's rollup: a certificate of another one is refused.
    /// @param certificate 576 bytes.
    /// @return batchId The EIP-712 digest of the statement, which is the id of the batch. Nothing here remembers it: a caller that
    /// must not take a batch twice does.
    function verify(bytes32 rollupId, bytes calldata certificate) external view returns (bytes32 batchId);

    /// @notice The registry whose committees count.
    function registry() external view returns (ICommitteeRegistry);
}
