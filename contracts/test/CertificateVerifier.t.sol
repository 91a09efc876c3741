// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CertificateVerifier } from "../src/CertificateVerifier.sol";
import { CommitteeRegistry } from "../src/CommitteeRegistry.sol";
import { ICertificateVerifier } from "../src/interfaces/ICertificateVerifier.sol";
import { ICommitteeRegistry } from "../src/interfaces/ICommitteeRegistry.sol";
import { Bitmap } from "../src/libraries/Bitmap.sol";
import { Committees } from "./utils/Committees.sol";

/// Each run makes a committee, and some burn all gas in a precompile: a tenth of the others' runs.
/// forge-config: nightly.fuzz.runs = 2000
contract CertificateVerifierTest is Committees {
    uint256 private constant FIRST = 1000;
    string private constant CERTIFICATES = "../tests/vectors/certificate.json";
    string private constant COMMITTEES = "../tests/vectors/committee.json";
    /// Not block.timestamp: the compiler takes it for constant across vm.warp.
    uint256 private _time = START;

    /// A vector that is refused; `null` where it has no form for L1, or names no error.
    struct RefusedVector {
        string form;
        string named;
    }

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

    /// The certificates that Rust wrote, and those it wrote to be refused.
    ///
    /// The files are large, and a cheat code's argument is a copy in memory that stays: so each question is a call of its
    /// own, whose memory goes with it.
    function test_agrees_with_the_vectors() public {
        (uint256 accepted, uint256 refused) = (0, 0);
        for (uint256 i = 0; this.hasCase(i); ++i) {
            if (!this.acceptCase(i)) continue;
            ++accepted;
            refused += this.refuseCase(i);
        }
        assertTrue(accepted >= 11 && refused >= 200, "few vectors");
    }

    function hasCase(uint256 i) external view returns (bool) {
        return vm.keyExistsJson(vm.readFile(CERTIFICATES), path("cases", i, ""));
    }

    /// @dev False for a committee without an L1.
    function acceptCase(uint256 i) external returns (bool) {
        (bytes32 rollupId, bytes memory certificate, bytes32 committeeHash, bytes32 digest) = this.readCase(i);
        uint256 index = this.indexOf(committeeHash);
        if (!this.installVector(index)) return false;
        assertEq(verifier.verify(rollupId, certificate), digest);
        return true;
    }

    function readCase(uint256 i)
        external
        view
        returns (bytes32 rollupId, bytes memory certificate, bytes32 committeeHash, bytes32 digest)
    {
        string memory json = vm.readFile(CERTIFICATES);
        rollupId = vm.parseJsonBytes32(json, path("cases", i, ".statement.rollup_id"));
        certificate = vm.parseJsonBytes(json, path("cases", i, ".abi"));
        committeeHash = vm.parseJsonBytes32(json, path("cases", i, ".committee_hash"));
        digest = vm.parseJsonBytes32(json, path("cases", i, ".digest"));
    }

    function refuseCase(uint256 i) external view returns (uint256 refused) {
        (bytes32 rollupId, bytes memory good,,) = this.readCase(i);
        string[2] memory lists = [".refused", ".refused_abi"];
        for (uint256 list = 0; list < 2; ++list) {
            RefusedVector[] memory cases = this.readRefused(i, lists[list]);
            for (uint256 j = 0; j < cases.length; ++j) {
                string memory named = cases[j].named;
                bytes memory bad = isNull(cases[j].form) ? bytes("") : vm.parseBytes(cases[j].form);
                if (isNull(named)) {
                    // A SCALE form that is none has no other; a bitmap of other width is the same number here.
                    assertTrue(list == 0 && (bad.length == 0 || keccak256(bad) == keccak256(good)), "an error");
                    continue;
                }
                // A point that is none burns what the precompile is given.
                try verifier.verify{ gas: 10_000_000 }(rollupId, bad) {
                    revert NotTrue("refused");
                } catch (bytes memory data) {
                    assertEq(bytes32(bytes4(data)), bytes32(bytes4(keccak256(bytes(named)))));
                }
                ++refused;
            }
        }
    }

    /// @dev All of a list at once: each call of the cheat code reads the whole file.
    function readRefused(uint256 i, string calldata list) external view returns (RefusedVector[] memory) {
        bytes memory found = vm.parseJsonTypeArray(
            vm.readFile(CERTIFICATES), path("cases", i, list), "Refused(string abi,string error)"
        );
        return abi.decode(found, (RefusedVector[]));
    }

    function isNull(string memory text) private pure returns (bool) {
        return keccak256(bytes(text)) == keccak256("null");
    }

    function indexOf(bytes32 committeeHash) external view returns (uint256 index) {
        while (this.committeeHashAt(index) != committeeHash) ++index;
    }

    function committeeHashAt(uint256 index) external view returns (bytes32) {
        return vm.parseJsonBytes32(vm.readFile(COMMITTEES), path("cases", index, ".committee_hash"));
    }

    /// @dev The registry of a vector is at an address of its own: code and owner are put there.
    function installVector(uint256 index) external returns (bool) {
        (address where, uint256 chainId, ICommitteeRegistry.Announcement memory made) = this.readCommittee(index);
        if (where == address(0)) return false;
        vm.chainId(chainId);
        // The vectors end long after this test's calendar begins.
        CommitteeRegistry code = createRegistry(DELAY, 3650 days);
        vm.etch(where, address(code).code);
        vm.store(where, 0, bytes32(uint256(uint160(address(this)))));
        registry = CommitteeRegistry(where);
        verifier = createVerifier();
        (,, uint64 numbered) = registry.epochs();
        if (made.epoch > numbered) {
            for (uint256 seat = 0; seat < made.members.length; ++seat) {
                (address operator, bytes memory key, bytes memory proof) = this.readMember(index, seat);
                vm.prank(operator);
                made.members[seat] = registry.register(key, proof, contact());
                // More keys than one blob holds are stored ahead.
                if (seat < 96) made.newKeys = bytes.concat(made.newKeys, key);
                else registry.storeKeys(key);
            }
            made.activatesAt = uint48(_time + DELAY);
            registry.announce(made);
        }
        _time += DELAY;
        vm.warp(_time);
        return true;
    }

    function readCommittee(uint256 index)
        external
        view
        returns (address where, uint256 chainId, ICommitteeRegistry.Announcement memory made)
    {
        string memory json = vm.readFile(COMMITTEES);
        where = vm.parseJsonAddress(json, path("cases", index, ".registry"));
        chainId = vm.parseJsonUint(json, path("cases", index, ".chain_id"));
        made.epoch = uint64(vm.parseJsonUint(json, path("cases", index, ".epoch")));
        made.minimumShards = uint16(vm.parseJsonUint(json, path("cases", index, ".minimum_shards")));
        made.quorum = uint16(vm.parseJsonUint(json, path("cases", index, ".quorum")));
        made.members = new bytes32[](vm.parseJsonUint(json, path("cases", index, ".members")));
    }

    function readMember(uint256 index, uint256 seat)
        external
        view
        returns (address operator, bytes memory key, bytes memory proof)
    {
        string memory json = vm.readFile(COMMITTEES);
        string memory list = string.concat("cases[", vm.toString(index), "].member");
        operator = vm.parseJsonAddress(json, path(list, seat, ".operator"));
        key = vm.parseJsonBytes(json, path(list, seat, ".public_key_padded"));
        proof = vm.parseJsonBytes(json, path(list, seat, ".proof_of_possession_padded"));
    }
}

/// What is refused of a certificate that is good: any other bit, word, statement or length.
/// forge-config: nightly.fuzz.runs = 2000
contract RefusedCertificateTest is Committees {
    uint256 private constant FIRST = 1000;
    bytes private _certificate;

    function setUp() public {
        deploy();
        install(1, FIRST, 4, 2, 3);
        _certificate = certify(1, FIRST, 15);
    }

    /// No bit of a certificate can be another one, and the error says in which word.
    function testFuzz_rejects_any_flipped_bit(uint256 bit) public view {
        bytes memory certificate = _certificate;
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
    function testFuzz_rejects_any_other_word(uint256 index, bytes32 value) public view {
        bytes memory certificate = _certificate;
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
        view
    {
        bytes memory certificate = _certificate;
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
            // A bare revert names no word, and would equal the places of the list that are not filled in.
            assertTrue(data.length >= 4 && found != 0, "an error with a name");
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
}
