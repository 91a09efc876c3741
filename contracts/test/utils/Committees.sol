// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CertificateVerifier } from "../../src/CertificateVerifier.sol";
import { CommitteeRegistry } from "../../src/CommitteeRegistry.sol";
import { ICommitteeRegistry } from "../../src/interfaces/ICommitteeRegistry.sol";
import { CertificateFormat } from "../../src/libraries/CertificateFormat.sol";
import { Signer } from "./Signer.sol";
import { Test } from "./Test.sol";

/// @notice A registry, a verifier, and members whose secrets the test knows.
abstract contract Committees is Test {
    uint256 internal constant DELAY = 7 days;
    uint256 internal constant RETENTION = 60 days;
    uint256 internal constant START = 1_790_000_000;
    bytes32 internal constant ROLLUP = keccak256("rollup");

    CommitteeRegistry internal registry;
    CertificateVerifier internal verifier;

    function deploy() internal {
        vm.warp(START);
        registry = createRegistry(DELAY, RETENTION);
        verifier = createVerifier();
    }

    function createRegistry(uint256 delay, uint256 retention) internal returns (CommitteeRegistry) {
        return CommitteeRegistry(create("CommitteeRegistry", abi.encode(address(this), delay, retention)));
    }

    /// @notice A verifier for `registry`.
    function createVerifier() internal returns (CertificateVerifier) {
        return CertificateVerifier(create("CertificateVerifier", abi.encode(registry)));
    }

    function operatorOf(uint256 secret) internal pure returns (address) {
        return address(uint160(uint256(keccak256(abi.encode("operator", secret)))));
    }

    function contact() internal pure returns (ICommitteeRegistry.Contact memory found) {
        found.name = "alpha";
        found.addresses = new string[](1);
        found.addresses[0] = "/dns4/alpha.example/tcp/9547";
    }

    function register(uint256 secret) internal returns (bytes32 memberId, bytes memory key) {
        key = Signer.key(secret);
        address operator = operatorOf(secret);
        bytes32 digest = registry.possessionDigest(operator, keccak256(key));
        bytes memory proof = Signer.sign(secret, digest, Signer.POSSESSION_SUITE);
        vm.prank(operator);
        memberId = registry.register(key, proof, contact());
    }

    /// @notice Registers secrets `first` to `first + members - 1` and makes them the committee of `epoch`.
    function install(uint64 epoch, uint256 first, uint16 members, uint16 k, uint16 q) internal {
        ICommitteeRegistry.Announcement memory made = announcement(epoch, first, members, k, q);
        registry.announce(made);
        vm.warp(made.activatesAt);
    }

    function announcement(uint64 epoch, uint256 first, uint16 members, uint16 k, uint16 q)
        internal
        returns (ICommitteeRegistry.Announcement memory made)
    {
        made.epoch = epoch;
        (made.minimumShards, made.quorum) = (k, q);
        made.activatesAt = uint48(block.timestamp + DELAY);
        made.members = new bytes32[](members);
        for (uint256 seat = 0; seat < members; ++seat) {
            bytes memory key;
            (made.members[seat], key) = register(first + seat);
            made.newKeys = bytes.concat(made.newKeys, key);
        }
    }

    /// @notice A certificate of `signers`, of whom secret `first + seat` is a seat's.
    function certify(uint64 epoch, uint256 first, uint256 signers) internal view returns (bytes memory) {
        return certify(epoch, first, signers, signers);
    }

    /// @notice The same, signed by the secrets of `signing`, for the seats `signers`.
    function certify(uint64 epoch, uint256 first, uint256 signing, uint256 signers)
        internal
        view
        returns (bytes memory)
    {
        (bytes32 committeeHash,,,) = registry.committee(epoch);
        uint256 secret;
        for (uint256 seat = 0; seat < 256; ++seat) {
            if ((signing >> seat) & 1 == 1) secret += first + seat;
        }
        return certify(epoch, committeeHash, secret, signers, block.timestamp + 2 days);
    }

    /// @notice A certificate for the seats `signers`, signed by `secret`: the sum of signatures is the signature of the sum.
    function certify(uint64 epoch, bytes32 committeeHash, uint256 secret, uint256 signers, uint256 retainUntil)
        internal
        view
        returns (bytes memory)
    {
        bytes memory statement = abi.encode(
            ROLLUP,
            uint256(epoch),
            committeeHash,
            uint256(1 << 20),
            keccak256("data"),
            keccak256("root"),
            keccak256("shards"),
            retainUntil - 1 days,
            retainUntil
        );
        bytes32 structHash = keccak256(bytes.concat(CertificateFormat.STATEMENT_TYPEHASH, statement));
        bytes32 digest = keccak256(bytes.concat(hex"1901", registry.domainSeparator(), structHash));
        bytes memory head = abi.encode(block.chainid, address(registry));
        bytes memory tail = abi.encode(signers, uint256(416), uint256(128));
        return bytes.concat(head, statement, tail, Signer.sign(secret, digest, Signer.SIGNATURE_SUITE));
    }
}
