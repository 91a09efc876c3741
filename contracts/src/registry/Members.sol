// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICommitteeRegistry } from "../interfaces/ICommitteeRegistry.sol";
import { BLS12381, G1, G2 } from "../libraries/BLS12381.sol";
import { SigningDomain } from "../libraries/SigningDomain.sol";

/// @title Members
/// @notice The part of {ICommitteeRegistry} that operators write: proven keys, and how their members are reached.
abstract contract Members is ICommitteeRegistry {
    /// @dev Two words. `seatedIn` finds duplicates in an announcement; after a cancellation it means nothing else.
    struct Member {
        address operator;
        bool retired;
        /// Where the key is; zero while it is not stored.
        address blob;
        uint16 offset;
        uint64 seatedIn;
    }

    bytes private constant SUITE = "BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
    uint256 private constant ADDRESSES_MAX = 8;
    uint256 private constant CONTACT_BYTES_MAX = 1024;
    uint256 private constant PROOF_BYTES = 128;
    /// @dev Bytes of a padded key.
    uint256 internal constant KEY_BYTES = 256;

    mapping(bytes32 memberId => Member) internal _members;

    /// @inheritdoc ICommitteeRegistry
    function register(bytes calldata key, bytes calldata proof, Contact calldata contact)
        external
        returns (bytes32 memberId)
    {
        if (key.length != KEY_BYTES) revert WrongPointLength(key.length, KEY_BYTES);
        if (proof.length != PROOF_BYTES) revert WrongPointLength(proof.length, PROOF_BYTES);
        _checkContact(contact);
        memberId = keccak256(key);
        if (_members[memberId].operator != address(0)) revert KeyAlreadyRegistered(memberId);
        _checkPossession(key, proof, memberId);
        _members[memberId].operator = msg.sender;
        emit MemberRegistered(memberId, msg.sender, key, proof, contact);
    }

    /// @inheritdoc ICommitteeRegistry
    function setContact(bytes32 memberId, Contact calldata contact) external {
        _checkOperator(memberId);
        _checkContact(contact);
        emit ContactChanged(memberId, contact);
    }

    /// @inheritdoc ICommitteeRegistry
    function retire(bytes32 memberId) external {
        _checkOperator(memberId);
        if (_members[memberId].retired) revert Retired(memberId);
        _members[memberId].retired = true;
        emit MemberRetired(memberId);
    }

    /// @inheritdoc ICommitteeRegistry
    function member(bytes32 memberId) external view returns (address operator, bool retired, bool stored) {
        Member storage found = _members[memberId];
        return (found.operator, found.retired, found.blob != address(0));
    }

    /// @inheritdoc ICommitteeRegistry
    function possessionDigest(address operator, bytes32 memberId) external view returns (bytes32) {
        return SigningDomain.possessionDigest(address(this), operator, memberId);
    }

    function _checkPossession(bytes calldata key, bytes calldata proof, bytes32 memberId) private view {
        (G1 hashed, G2 point, G1 signature) = BLS12381.newEquation();
        // slither-disable-next-line assembly (call data straight to its places in the equation)
        assembly ("memory-safe") {
            calldatacopy(point, key.offset, KEY_BYTES)
            calldatacopy(signature, proof.offset, PROOF_BYTES)
        }
        if (BLS12381.isInfinity(point)) revert KeyAtInfinity();
        if (BLS12381.isInfinity(signature)) revert ProofAtInfinity();
        bytes32 digest = SigningDomain.possessionDigest(address(this), msg.sender, memberId);
        BLS12381.hashWordToG1(digest, SUITE, hashed);
        // Not the key: nobody has checked yet that its coordinates are in range.
        BLS12381.negate(hashed);
        (bool valid, bool signs) = BLS12381.check(hashed);
        if (!valid) revert InvalidPoint();
        if (!signs) revert FalseProofOfPossession();
    }

    function _checkOperator(bytes32 memberId) private view {
        address operator = _members[memberId].operator;
        if (operator == address(0)) revert UnknownMember(memberId);
        if (operator != msg.sender) revert NotOperator(memberId, msg.sender);
    }

    function _checkContact(Contact calldata contact) private pure {
        uint256 count = contact.addresses.length;
        uint256 found = bytes(contact.name).length + bytes(contact.peerId).length + bytes(contact.api).length;
        for (uint256 i = 0; i < count && i < ADDRESSES_MAX; ++i) {
            found += bytes(contact.addresses[i]).length;
        }
        if (count > ADDRESSES_MAX || found > CONTACT_BYTES_MAX) revert ContactTooLong(count, found);
    }
}
