// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CommitteeRegistry } from "../src/CommitteeRegistry.sol";
import { ICommitteeRegistry } from "../src/interfaces/ICommitteeRegistry.sol";
import { Committees } from "./utils/Committees.sol";
import { Signer } from "./utils/Signer.sol";

/// Each run makes a committee, and some burn all gas in a precompile: a tenth of the others' runs.
/// forge-config: nightly.fuzz.runs = 2000
contract CommitteeRegistryTest is Committees {
    /// Where the registry keeps its members: forge inspect CommitteeRegistry storage.
    uint256 private constant MEMBERS_SLOT = 4;
    uint256 private constant ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    function setUp() public {
        deploy();
    }

    /// Proofs hold for their own operator and key, and for no other.
    function testFuzz_takes_exactly_proven_keys(uint256 secret, uint256 prover, address operator) public {
        vm.assume(operator != address(0));
        secret = 1 + secret % (ORDER - 1);
        prover = 1 + prover % (ORDER - 1);
        bytes memory key = Signer.key(secret);
        bytes32 digest = registry.possessionDigest(operator, keccak256(key));
        bytes memory proof = Signer.sign(prover, digest, Signer.POSSESSION_SUITE);
        if (prover != secret) {
            vm.expectRevert(ICommitteeRegistry.FalseProofOfPossession.selector);
            vm.prank(operator);
            registry.register(key, proof, contact());
            proof = Signer.sign(secret, digest, Signer.POSSESSION_SUITE);
        }
        vm.expectRevert(ICommitteeRegistry.FalseProofOfPossession.selector);
        vm.prank(address(uint160(operator) ^ 1));
        registry.register(key, proof, contact());
        vm.prank(operator);
        assertEq(registry.register(key, proof, contact()), keccak256(key));
    }

    /// A rogue key: `x * G` less the keys of the others, from public keys alone. Nobody knows its secret.
    ///
    /// Registered without a proof it lets whoever knows `x` sign for all; so the proof at registration is what every
    /// certificate rests on, and it cannot be made.
    function test_a_rogue_key_signs_for_all_and_is_not_let_in() public {
        uint256 x = 0xbad;
        bytes32[] memory members = new bytes32[](4);
        bytes memory newKeys;
        // x * G + (r - 1) * pk_0 + (r - 1) * pk_1 + (r - 1) * pk_2
        bytes memory input = bytes.concat(Signer.key(1), bytes32(x));
        for (uint256 seat = 0; seat < 3; ++seat) {
            bytes memory key;
            (members[seat], key) = register(500 + seat);
            newKeys = bytes.concat(newKeys, key);
            input = bytes.concat(input, key, bytes32(ORDER - 1));
        }
        (bool done, bytes memory rogue) = address(0x0e).staticcall(input);
        assertTrue(done && rogue.length == 256, "a point");
        members[3] = keccak256(rogue);
        ICommitteeRegistry.Announcement memory made;
        (made.epoch, made.minimumShards, made.quorum) = (1, 2, 3);
        made.activatesAt = uint48(block.timestamp + DELAY);
        (made.members, made.newKeys) = (members, bytes.concat(newKeys, rogue));

        bytes32 digest = registry.possessionDigest(address(this), members[3]);
        bytes memory proof = Signer.sign(x, digest, Signer.POSSESSION_SUITE);
        vm.expectRevert(ICommitteeRegistry.FalseProofOfPossession.selector);
        registry.register(rogue, proof, contact());
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.UnknownMember.selector, members[3]));
        registry.announce(made);

        // Without the check of the proof: the operator of the rogue key is written where registration would have.
        vm.store(address(registry), keccak256(abi.encode(members[3], MEMBERS_SLOT)), bytes32(uint256(1)));
        (address operator,,) = registry.member(members[3]);
        assertEq(uint160(operator), 1);
        registry.announce(made);
        vm.warp(made.activatesAt);
        // `x` alone signs for the sum of all four.
        verifier.verify(ROLLUP, certify(1, x, 1, 15));
    }

    /// Two keys whose sum is infinity are proven and registered, but make no committee.
    function test_rejects_keys_that_cancel() public {
        (bytes32 one, bytes memory key) = register(7);
        (bytes32 other, bytes memory negated) = register(ORDER - 7);
        ICommitteeRegistry.Announcement memory made;
        (made.epoch, made.minimumShards, made.quorum) = (1, 1, 1);
        made.activatesAt = uint48(block.timestamp + DELAY);
        made.members = new bytes32[](2);
        (made.members[0], made.members[1]) = (one, other);
        made.newKeys = bytes.concat(key, negated);
        vm.expectRevert(ICommitteeRegistry.KeysCancel.selector);
        registry.announce(made);
    }

    /// The proofs that Rust wrote: each at the registry, chain and operator it is for. Another key's proof of the same is false.
    function test_agrees_with_the_vectors() public {
        string memory json = vm.readFile("../tests/vectors/possession.json");
        uint256 count;
        for (; vm.keyExistsJson(json, path("cases", count, "")); ++count) {
            vm.chainId(vm.parseJsonUint(json, path("cases", count, ".chain_id")));
            address where = vm.parseJsonAddress(json, path("cases", count, ".registry"));
            vm.etch(where, address(registry).code);
            registerCase(CommitteeRegistry(where), json, count);
        }
        assertEq(count, 6);
    }

    function registerCase(CommitteeRegistry there, string memory json, uint256 i) private {
        address operator = vm.parseJsonAddress(json, path("cases", i, ".operator"));
        bytes memory key = vm.parseJsonBytes(json, path("cases", i, ".public_key_padded"));
        bytes memory proof = vm.parseJsonBytes(json, path("cases", i, ".proof_of_possession_padded"));
        bytes memory other = Signer.decompress(vm.parseJsonBytes(json, path("cases", i, ".proof_of_another_key")));
        bytes32 memberId = vm.parseJsonBytes32(json, path("cases", i, ".public_key_padded_hash"));
        assertEq(there.possessionDigest(operator, memberId), vm.parseJsonBytes32(json, path("cases", i, ".digest")));
        // Both forms are of one proof; so the other, which has one form only, was read as it should be.
        assertEq(Signer.decompress(vm.parseJsonBytes(json, path("cases", i, ".proof_of_possession"))), proof);
        vm.expectRevert(ICommitteeRegistry.FalseProofOfPossession.selector);
        vm.prank(operator);
        there.register(key, other, contact());
        vm.prank(operator);
        assertEq(there.register(key, proof, contact()), memberId);
    }

    /// What is said is what was given, and it is all that happens.
    function test_an_operator_says_how_its_member_is_reached() public {
        (bytes32 memberId,) = register(500);
        ICommitteeRegistry.Contact memory moved = contact();
        moved.addresses = new string[](2);
        (moved.addresses[0], moved.addresses[1]) = ("/dns4/beta.example/udp/9547/quic-v1", "/ip4/192.0.2.7/tcp/9547");
        (moved.name, moved.peerId, moved.api) = ("beta", "12D3KooW", "https://beta.example");
        vm.expectEmit(address(registry));
        emit ICommitteeRegistry.ContactChanged(memberId, moved);
        vm.prank(operatorOf(500));
        registry.setContact(memberId, moved);
        // None at all is a contact too: for a member that leaves.
        ICommitteeRegistry.Contact memory none;
        vm.expectEmit(address(registry));
        emit ICommitteeRegistry.ContactChanged(memberId, none);
        vm.prank(operatorOf(500));
        registry.setContact(memberId, none);
        (address operator, bool retired, bool stored) = registry.member(memberId);
        assertTrue(operator == operatorOf(500) && !retired && !stored, "the member is as it was");
    }

    /// A member serves until its last epoch is released, so it is reached until then.
    function test_a_retired_member_may_move() public {
        (bytes32 memberId,) = register(500);
        vm.prank(operatorOf(500));
        registry.retire(memberId);
        vm.expectEmit(address(registry));
        emit ICommitteeRegistry.ContactChanged(memberId, contact());
        vm.prank(operatorOf(500));
        registry.setContact(memberId, contact());
        (, bool retired,) = registry.member(memberId);
        assertTrue(retired, "retired for ever");
    }

    /// Not the owner either: who could move a member could take its place in the network.
    function testFuzz_nobody_else_moves_a_member(address caller) public {
        (bytes32 memberId,) = register(500);
        (bytes32 other,) = register(501);
        vm.assume(caller != operatorOf(500));
        address[3] memory callers = [caller, operatorOf(501), registry.owner()];
        for (uint256 i = 0; i < 3; ++i) {
            vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.NotOperator.selector, memberId, callers[i]));
            vm.prank(callers[i]);
            registry.setContact(memberId, contact());
        }
        bytes32 nobody = keccak256(abi.encode(other));
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.UnknownMember.selector, nobody));
        vm.prank(caller);
        registry.setContact(nobody, contact());
    }

    /// Nine addresses, or a byte above 1,024 in all texts together, are too many; here and at registration.
    function testFuzz_a_contact_has_bounds(uint256 count, uint16[4] memory lengths, uint256 where) public {
        (bytes32 memberId,) = register(500);
        ICommitteeRegistry.Contact memory made;
        made.addresses = new string[](count % 11);
        uint256 counted;
        for (uint256 i = 0; i < made.addresses.length; ++i) {
            made.addresses[i] = string(new bytes(lengths[3] % 150));
            // Those past the eighth are not read.
            if (i < 8) counted += lengths[3] % 150;
        }
        made.peerId = string(new bytes(lengths[1] % 300));
        made.api = string(new bytes(lengths[2] % 300));
        counted += lengths[1] % 300 + lengths[2] % 300;
        // At the bound every other time, or a byte past it.
        uint256 rest = counted < 1024 ? 1024 - counted + where % 2 : 0;
        made.name = string(new bytes(where & 2 == 0 ? rest : lengths[0] % 300));
        counted += bytes(made.name).length;
        bytes memory expected =
            abi.encodeWithSelector(ICommitteeRegistry.ContactTooLong.selector, made.addresses.length, counted);
        bool fits = made.addresses.length <= 8 && counted <= 1024;
        if (!fits) vm.expectRevert(expected);
        vm.prank(operatorOf(500));
        registry.setContact(memberId, made);
        bytes memory key = Signer.key(501);
        bytes32 digest = registry.possessionDigest(operatorOf(501), keccak256(key));
        bytes memory proof = Signer.sign(501, digest, Signer.POSSESSION_SUITE);
        if (!fits) vm.expectRevert(expected);
        vm.prank(operatorOf(501));
        registry.register(key, proof, made);
    }

    function test_rejects_absurd_periods() public {
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 0, 1));
        createRegistry(0, 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 1, 0));
        createRegistry(1, 0);
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 3651 days, 1));
        createRegistry(3651 days, 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 1, 3651 days));
        createRegistry(1, 3651 days);
        createRegistry(3650 days, 3650 days);
    }
}

/// forge-config: nightly.fuzz.runs = 2000
contract EpochKeysTest is Committees {
    bytes32[12] private _ids;
    bytes[12] private _keys;

    function setUp() public {
        deploy();
        for (uint256 i = 0; i < 12; ++i) {
            (_ids[i], _keys[i]) = register(100 + i);
        }
    }

    /// Whatever was announced before, every seat's key is read back, wherever it is stored.
    function testFuzz_keys_are_where_the_epoch_says(uint256 choices) public {
        bytes[12] memory keys = _keys;
        bool[12] memory stored;
        // Not block.timestamp: the compiler takes it for constant across vm.warp.
        uint256 time = START;
        for (uint64 epoch = 1; epoch <= 4; ++epoch) {
            vm.warp(time);
            uint256 members = 1 + choices % 6;
            uint256 from = (choices >> 8) % 12;
            choices = uint256(keccak256(abi.encode(choices)));
            ICommitteeRegistry.Announcement memory made;
            (made.epoch, made.minimumShards, made.quorum) = (epoch, 1, 1);
            time += DELAY;
            made.activatesAt = uint48(time);
            made.members = new bytes32[](members);
            for (uint256 seat = 0; seat < members; ++seat) {
                uint256 i = (from + seat) % 12;
                made.members[seat] = _ids[i];
                if (!stored[i]) made.newKeys = bytes.concat(made.newKeys, keys[i]);
                stored[i] = true;
            }
            registry.announce(made);
            for (uint256 seat = 0; seat < members; ++seat) {
                assertEq(registry.keyOf(epoch, uint16(seat)), keys[(from + seat) % 12]);
            }
        }
    }
}
