// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICertificateVerifier } from "../interfaces/ICertificateVerifier.sol";

/// @title A certificate as L1 reads it
/// @notice `abi.encode(uint64 chainId, address registry, Statement statement, uint256 signers, bytes signature)`: 576
/// bytes, always. {read} gives the fields in place, without a copy; a contract that settles reads `dataRoot` and
/// `retainUntil` from them after {ICertificateVerifier-verify}.
library CertificateFormat {
    /// @notice The 18 words. Numbers fill whole words here: {read} refuses those out of range.
    struct Fields {
        uint256 chainId;
        uint256 registry;
        bytes32 rollupId;
        uint256 epoch;
        bytes32 committeeHash;
        uint256 dataBytes;
        bytes32 dataHash;
        bytes32 dataRoot;
        bytes32 shardsRoot;
        uint256 hotUntil;
        uint256 retainUntil;
        uint256 signers;
        uint256 signatureOffset;
        uint256 signatureBytes;
        uint256 xHigh;
        uint256 xLow;
        uint256 yHigh;
        uint256 yLow;
    }

    /// @notice Bytes of a certificate.
    uint256 internal constant CERTIFICATE_BYTES = 576;
    uint256 private constant SIGNATURE_OFFSET = 416;
    uint256 private constant SIGNATURE_BYTES = 128;

    /// @notice `keccak256` of the EIP-712 type of a statement.
    bytes32 internal constant STATEMENT_TYPEHASH = keccak256(
        "DataAvailability(bytes32 rollupId,uint64 epoch,bytes32 committeeHash,uint64 dataBytes,bytes32 dataHash,bytes32 dataRoot,bytes32 shardsRoot,uint64 hotUntil,uint64 retainUntil)"
    );

    /// @notice The fields of a certificate, once its form is right.
    function read(bytes calldata certificate) internal pure returns (Fields calldata fields) {
        if (certificate.length != CERTIFICATE_BYTES) {
            revert ICertificateVerifier.WrongLength(certificate.length, CERTIFICATE_BYTES);
        }
        // slither-disable-next-line assembly (a struct in call data cannot be pointed to otherwise)
        assembly ("memory-safe") {
            fields := certificate.offset
        }
        // dataBytes and hotUntil are bounded by others: the largest batch and retainUntil.
        uint256 beyond = (fields.chainId | fields.epoch | fields.retainUntil) >> 64;
        beyond |= fields.registry >> 160;
        beyond |= fields.signatureOffset ^ SIGNATURE_OFFSET;
        beyond |= fields.signatureBytes ^ SIGNATURE_BYTES;
        if (beyond != 0) revert ICertificateVerifier.NotCanonical();
    }

    /// @notice `hashStruct` of the statement.
    function hashStatement(Fields calldata fields) internal pure returns (bytes32 structHash) {
        bytes32 typeHash = STATEMENT_TYPEHASH;
        // slither-disable-next-line assembly (nine words hashed as they are, without decoding them)
        assembly ("memory-safe") {
            let copy := mload(0x40)
            mstore(copy, typeHash)
            calldatacopy(add(copy, 32), add(fields, 64), 288)
            structHash := keccak256(copy, 320)
        }
    }
}
