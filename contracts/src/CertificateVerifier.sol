// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICertificateVerifier } from "./interfaces/ICertificateVerifier.sol";
import { ICommitteeRegistry } from "./interfaces/ICommitteeRegistry.sol";
import { Bitmap } from "./libraries/Bitmap.sol";
import { BLS12381, G1, G2 } from "./libraries/BLS12381.sol";
import { CertificateFormat } from "./libraries/CertificateFormat.sol";
import { EpochBlob } from "./libraries/EpochBlob.sol";
import { EpochRecord } from "./libraries/EpochSchedule.sol";
import { SigningDomain } from "./libraries/SigningDomain.sol";

/// @title CertificateVerifier
/// @notice See {ICertificateVerifier}. No owner, no storage: who may sign is the registry's business.
contract CertificateVerifier is ICertificateVerifier {
    using CertificateFormat for CertificateFormat.Fields;
    using EpochBlob for address;

    bytes private constant SUITE = "BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    uint256 private constant BATCH_BYTES_MAX = 64 << 20;

    /// @inheritdoc ICertificateVerifier
    ICommitteeRegistry public immutable registry;
    uint256 private immutable _retentionSecondsMax;
    uint256 private immutable _chainId;
    bytes32 private immutable _separator;

    /// @param registry_ Deployed before.
    constructor(ICommitteeRegistry registry_) {
        registry = registry_;
        _retentionSecondsMax = registry_.retentionSecondsMax();
        _chainId = block.chainid;
        _separator = SigningDomain.separator(address(registry_));
    }

    /// @inheritdoc ICertificateVerifier
    function verify(bytes32 rollupId, bytes calldata certificate) external view returns (bytes32 batchId) {
        CertificateFormat.Fields calldata fields = CertificateFormat.read(certificate);
        _checkDomain(fields, rollupId);
        _checkStatement(fields);
        (G1 hashed, G2 key, G1 signature) = BLS12381.newEquation();
        _sumOfKeys(fields, key);
        _readSignature(fields, signature);
        batchId = _digest(fields);
        BLS12381.hashWordToG1(batchId, SUITE, hashed);
        (bool valid, bool signs) = BLS12381.check(hashed);
        if (!valid) revert InvalidSignaturePoint();
        if (!signs) revert FalseCertificate();
    }

    function _checkDomain(CertificateFormat.Fields calldata fields, bytes32 rollupId) private view {
        if (fields.chainId != block.chainid) revert ChainMismatch(fields.chainId, block.chainid);
        if (fields.registry != uint160(address(registry))) {
            revert RegistryMismatch(address(uint160(fields.registry)), address(registry));
        }
        if (fields.rollupId != rollupId) revert RollupMismatch(fields.rollupId, rollupId);
    }

    function _checkStatement(CertificateFormat.Fields calldata fields) private view {
        (uint256 dataBytes, uint256 retainUntil) = (fields.dataBytes, fields.retainUntil);
        if (dataBytes == 0 || dataBytes > BATCH_BYTES_MAX) revert DataBytesOutOfRange(dataBytes, BATCH_BYTES_MAX);
        if (fields.hotUntil > retainUntil) revert HotAfterRetain(fields.hotUntil, retainUntil);
        // slither-disable-next-line timestamp (a batch is kept for days)
        if (retainUntil <= block.timestamp) revert CertificateExpired(retainUntil, block.timestamp);
    }

    /// @dev Finds the committee, checks that it may vouch and that enough of it signed, and sums the signers' keys.
    /// @param key Out: the negated sum.
    function _sumOfKeys(CertificateFormat.Fields calldata fields, G2 key) private view {
        EpochRecord record = registry.scheduleOf(uint64(fields.epoch));
        record.check(fields.epoch, fields.retainUntil, _retentionSecondsMax);
        address blob = record.blob();
        // The negated sum of all keys: the answer if nobody is absent.
        (bytes32 committeeHash, uint256 numbers) = blob.readHead(key);
        if (fields.committeeHash != committeeHash) revert CommitteeHashMismatch(fields.committeeHash, committeeHash);
        uint256 members = EpochBlob.members(numbers);
        (uint256 signers, uint256 all) = (fields.signers, Bitmap.full(members));
        if (signers == 0) revert NoSigners();
        if (signers > all) revert SignerPastMembers(signers, members);
        uint256 absent = all ^ signers;
        if (absent == 0) return;
        uint256 absentCount = Bitmap.count(absent);
        unchecked {
            // At least one bit of `all` is set in `signers`, so fewer are absent than there are members.
            uint256 count = members - absentCount;
            if (count < EpochBlob.quorum(numbers)) revert BelowQuorum(count, EpochBlob.quorum(numbers));
            _sumOfFewer(blob, numbers, absentCount <= count ? absent : signers, absentCount <= count, key);
        }
    }

    /// @dev Adds the keys of absent seats to the negated sum of all, or sums those of the signers and negates.
    /// @param key In: the negated sum of all keys. Out: the negated sum of the signers' keys.
    function _sumOfFewer(address blob, uint256 numbers, uint256 seats, bool absent, G2 key) private view {
        (uint256 others, uint256 places) = blob.readTable(numbers);
        (G2 sum, G2 next) = BLS12381.newSum();
        if (absent) BLS12381.copy(key, sum);
        uint256 seat;
        while (seats != 0) {
            (seat, seats) = Bitmap.pop(seats);
            blob.readKey(others, places, seat, next);
            BLS12381.addNext(sum, sum);
        }
        if (!absent) BLS12381.negate(sum);
        BLS12381.copy(sum, key);
    }

    function _readSignature(CertificateFormat.Fields calldata fields, G1 signature) private pure {
        // slither-disable-next-line assembly (call data straight to its place in the equation)
        assembly ("memory-safe") {
            // The last four words.
            calldatacopy(signature, add(fields, 448), 128)
        }
        if (BLS12381.isInfinity(signature)) revert SignatureAtInfinity();
    }

    /// @dev The separator is kept, and made anew should the chain change its id.
    function _digest(CertificateFormat.Fields calldata fields) private view returns (bytes32 digest) {
        bytes32 separator = block.chainid == _chainId ? _separator : SigningDomain.separator(address(registry));
        bytes32 structHash = fields.hashStatement();
        // slither-disable-next-line assembly (66 bytes hashed in memory that is not allocated)
        assembly ("memory-safe") {
            let copy := mload(0x40)
            mstore(copy, shl(240, 0x1901))
            mstore(add(copy, 2), separator)
            mstore(add(copy, 34), structHash)
            digest := keccak256(copy, 66)
        }
    }
}
