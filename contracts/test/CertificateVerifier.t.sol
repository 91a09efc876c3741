// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CertificateVerifier } from "../src/CertificateVerifier.sol";
import { CommitteeRegistry } from "../src/CommitteeRegistry.sol";
import { ICertificateVerifier } from "../src/interfaces/ICertificateVerifier.sol";
import { ICommitteeRegistry } from "../src/interfaces/ICommitteeRegistry.sol";
import { Bitmap } from "../src/libraries/Bitmap.sol";
import { Committees } from "./utils/Committees.sol";

contract CertificateVerifierTest is Committees {
    uint256 private constant FIRST = 1000;
    /// Not block.timestamp: the compiler takes it for constant across vm.warp.
    uint256 private _time = START;

    function setUp() public {
        deploy();
    }

    /// Any set of signers of any committee: accepted exactly if it is a quorum.
    function testFuzz_accepts_exactly_the_quorums(uint8 size, uint8 quorum, uint256 signers) public {
        uint16 n = 1 + uint16(size) % 12;
        uint16 q = 1 + uint16(quorum) % n;
        signers = signers & Bitmap.full(n);
        install(1, FIRST, n, 1, q);
        bytes memory certificate = certify(1, FIRST, signers);
        if (signers == 0) {
            vm.expectRevert(ICertificateVerifier.NoSigners.selector);
        } else if (Bitmap.count(signers) < q) {
            vm.expectRevert(
                abi.encodeWithSelector(ICertificateVerifier.BelowQuorum.selector, Bitmap.count(signers), q)
            );
        }
        verifier.verify(ROLLUP, certificate);
    }

    /// No bit of a certificate can be another one, and the error says in which word.
    function testFuzz_rejects_any_flipped_bit(uint256 bit) public {
        install(1, FIRST, 4, 2, 3);
        bytes memory certificate = certify(1, FIRST, 15);
        verifier.verify(ROLLUP, certificate);
        bit %= 8 * certificate.length;
        certificate[bit / 8] ^= bytes1(uint8(1 << (bit % 8)));
        refusedAt(bit / 256, certificate);
    }

    function testFuzz_rejects_any_other_length(uint16 length) public {
        vm.assume(length != 576);
        vm.expectRevert(abi.encodeWithSelector(ICertificateVerifier.WrongLength.selector, length, 576));
        verifier.verify(ROLLUP, new bytes(length));
    }

    /// Any other value of any one word: it comes as far as the check of that word, and no further.
    function testFuzz_rejects_any_other_word(uint256 index, bytes32 value) public {
        install(1, FIRST, 4, 2, 3);
        bytes memory certificate = certify(1, FIRST, 15);
        index %= 18;
        bytes32 before;
        assembly ("memory-safe") {
            let word := add(add(certificate, 32), mul(32, index))
            before := mload(word)
            mstore(word, value)
        }
        vm.assume(value != before);
        refusedAt(index, certificate);
    }

    /// Values that pass the check of their form, so that the checks behind it are reached.
    function testFuzz_rejects_any_other_statement(uint64 dataBytes, uint64 hotUntil, uint64 retainUntil, uint8 field)
        public
    {
        install(1, FIRST, 4, 2, 3);
        bytes memory certificate = certify(1, FIRST, 15);
        uint256 index = [5, 9, 10][field % 3];
        uint256 value = [uint256(dataBytes) % (70 << 20), hotUntil, retainUntil][field % 3];
        uint256 before;
        assembly ("memory-safe") {
            let word := add(add(certificate, 32), mul(32, index))
            before := mload(word)
            mstore(word, value)
        }
        vm.assume(value != before);
        refusedAt(index, certificate);
    }

    /// @dev The certificate is refused, with an error that speaks of the word at `index`.
    function refusedAt(uint256 index, bytes memory certificate) private view {
        try verifier.verify(ROLLUP, certificate) {
            revert NotTrue("refused");
        } catch (bytes memory data) {
            bytes4 found = bytes4(data);
            bytes4[] memory expected = errorsOf(index);
            for (uint256 i = 0; i < expected.length; ++i) {
                if (found == expected[i]) return;
            }
            revert NotEqual(data, abi.encode(index));
        }
    }

    /// @dev What another value in a word can be: another length of a number, another place, another statement.
    function errorsOf(uint256 index) private pure returns (bytes4[] memory list) {
        list = new bytes4[](5);
        list[0] = ICertificateVerifier.FalseCertificate.selector;
        if (index == 0) list[0] = ICertificateVerifier.ChainMismatch.selector;
        if (index == 1) list[0] = ICertificateVerifier.RegistryMismatch.selector;
        if (index == 2) list[0] = ICertificateVerifier.RollupMismatch.selector;
        if (index == 3) list[0] = ICommitteeRegistry.UnknownEpoch.selector;
        if (index == 4) list[0] = ICertificateVerifier.CommitteeHashMismatch.selector;
        if (index == 5) list[1] = ICertificateVerifier.DataBytesOutOfRange.selector;
        if (index == 9 || index == 10) list[1] = ICertificateVerifier.HotAfterRetain.selector;
        if (index == 10) list[2] = ICertificateVerifier.CertificateExpired.selector;
        if (index == 10) list[3] = ICommitteeRegistry.RetentionTooLong.selector;
        if (index == 11) {
            list[1] = ICertificateVerifier.NoSigners.selector;
            list[2] = ICertificateVerifier.SignerPastMembers.selector;
            list[3] = ICertificateVerifier.BelowQuorum.selector;
        }
        if (index == 12 || index == 13) list[0] = ICertificateVerifier.NotCanonical.selector;
        if (index <= 3 || index == 10) list[4] = ICertificateVerifier.NotCanonical.selector;
        if (index >= 14) list[0] = ICertificateVerifier.InvalidSignaturePoint.selector;
    }

    /// The certificates that Rust wrote, and those it wrote to be refused.
    function test_agrees_with_the_vectors() public {
        string memory certificates = vm.readFile("../tests/vectors/certificate.json");
        string memory committees = vm.readFile("../tests/vectors/committee.json");
        (uint256 accepted, uint256 refused) = (0, 0);
        for (uint256 i = 0; vm.keyExistsJson(certificates, path("cases", i, "")); ++i) {
            bytes32 committeeHash = vm.parseJsonBytes32(certificates, path("cases", i, ".committee_hash"));
            uint256 index = indexOf(committees, committeeHash);
            if (vm.parseJsonAddress(committees, path("cases", index, ".registry")) == address(0)) continue;
            installVector(committees, index);
            bytes32 rollupId = vm.parseJsonBytes32(certificates, path("cases", i, ".statement.rollup_id"));
            bytes memory abi_ = vm.parseJsonBytes(certificates, path("cases", i, ".abi"));
            bytes32 digest = vm.parseJsonBytes32(certificates, path("cases", i, ".digest"));
            assertEq(verifier.verify(rollupId, abi_), digest);
            ++accepted;
            refused += refuseAll(certificates, i, rollupId, abi_);
            refused += refuseForms(certificates, i, rollupId);
        }
        assertTrue(accepted >= 11 && refused >= 200, "few vectors");
    }

    function refuseAll(string memory json, uint256 i, bytes32 rollupId, bytes memory good)
        private
        view
        returns (uint256 refused)
    {
        string memory list = string.concat("cases[", vm.toString(i), "].refused");
        for (uint256 j = 0; vm.keyExistsJson(json, path(list, j, "")); ++j) {
            bytes memory bad = bytes(vm.parseJsonString(json, path(list, j, ".abi")));
            if (keccak256(bad) == keccak256("null") || bad.length == 0) continue;
            bad = vm.parseJsonBytes(json, path(list, j, ".abi"));
            // A bitmap of other width is the same number here, hence the good certificate.
            if (keccak256(bad) == keccak256(good)) continue;
            bytes4 selector = errorOf(vm.parseJsonString(json, path(list, j, ".why")));
            try verifier.verify(rollupId, bad) {
                revert NotTrue("refused");
            } catch (bytes memory data) {
                assertEq(bytes32(bytes4(data)), bytes32(selector));
            }
            ++refused;
        }
    }

    /// @dev Forms that only L1 has, each with its error.
    function refuseForms(string memory json, uint256 i, bytes32 rollupId) private view returns (uint256 refused) {
        string memory list = string.concat("cases[", vm.toString(i), "].refused_abi");
        for (; vm.keyExistsJson(json, path(list, refused, "")); ++refused) {
            bytes memory bad = vm.parseJsonBytes(json, path(list, refused, ".abi"));
            string memory signature = vm.parseJsonString(json, path(list, refused, ".error"));
            try verifier.verify(rollupId, bad) {
                revert NotTrue(signature);
            } catch (bytes memory data) {
                assertEq(bytes32(bytes4(data)), bytes32(bytes4(keccak256(bytes(signature)))));
            }
        }
    }

    function errorOf(string memory why) private pure returns (bytes4) {
        bytes32 name = keccak256(bytes(why));
        if (name == keccak256("below quorum")) return ICertificateVerifier.BelowQuorum.selector;
        if (name == keccak256("another chain")) return ICertificateVerifier.ChainMismatch.selector;
        if (name == keccak256("another registry")) return ICertificateVerifier.RegistryMismatch.selector;
        if (name == keccak256("another rollup")) return ICertificateVerifier.RollupMismatch.selector;
        if (name == keccak256("another epoch")) return ICommitteeRegistry.UnknownEpoch.selector;
        if (name == keccak256("another committee")) return ICertificateVerifier.CommitteeHashMismatch.selector;
        return ICertificateVerifier.FalseCertificate.selector;
    }

    function indexOf(string memory committees, bytes32 committeeHash) private pure returns (uint256 index) {
        while (vm.parseJsonBytes32(committees, path("cases", index, ".committee_hash")) != committeeHash) ++index;
    }

    /// @dev The registry of a vector is at an address of its own: code and owner are put there.
    function installVector(string memory json, uint256 index) private {
        vm.chainId(vm.parseJsonUint(json, path("cases", index, ".chain_id")));
        // The vectors end long after this test's calendar begins.
        CommitteeRegistry made = new CommitteeRegistry(address(this), DELAY, 3650 days);
        address where = vm.parseJsonAddress(json, path("cases", index, ".registry"));
        vm.etch(where, address(made).code);
        vm.store(where, 0, bytes32(uint256(uint160(address(this)))));
        registry = CommitteeRegistry(where);
        verifier = new CertificateVerifier(registry);
        uint64 epoch = uint64(vm.parseJsonUint(json, path("cases", index, ".epoch")));
        (,, uint64 numbered) = registry.epochs();
        if (epoch > numbered) registry.announce(readCommittee(json, index, epoch));
        _time += DELAY;
        vm.warp(_time);
    }

    function readCommittee(string memory json, uint256 index, uint64 epoch)
        private
        returns (ICommitteeRegistry.Announcement memory made)
    {
        made.epoch = epoch;
        made.minimumShards = uint16(vm.parseJsonUint(json, path("cases", index, ".minimum_shards")));
        made.quorum = uint16(vm.parseJsonUint(json, path("cases", index, ".quorum")));
        made.activatesAt = uint48(_time + DELAY);
        made.members = new bytes32[](vm.parseJsonUint(json, path("cases", index, ".members")));
        string memory list = string.concat("cases[", vm.toString(index), "].member");
        for (uint256 seat = 0; seat < made.members.length; ++seat) {
            bytes memory key = vm.parseJsonBytes(json, path(list, seat, ".public_key_padded"));
            bytes memory proof = vm.parseJsonBytes(json, path(list, seat, ".proof_of_possession_padded"));
            vm.prank(vm.parseJsonAddress(json, path(list, seat, ".operator")));
            made.members[seat] = registry.register(key, proof, contact());
            // More keys than one blob holds are stored ahead.
            if (seat < 96) made.newKeys = bytes.concat(made.newKeys, key);
            else registry.storeKeys(key);
        }
    }
}
