// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CommitteeRegistry } from "../src/CommitteeRegistry.sol";
import { ICommitteeRegistry } from "../src/interfaces/ICommitteeRegistry.sol";
import { Committees } from "./utils/Committees.sol";
import { Signer } from "./utils/Signer.sol";

contract CommitteeRegistryTest is Committees {
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

    /// Whatever was announced before, every seat's key is read back, wherever it is stored.
    function testFuzz_keys_are_where_the_epoch_says(uint256 choices) public {
        bytes32[12] memory ids;
        bytes[12] memory keys;
        bool[12] memory stored;
        for (uint256 i = 0; i < 12; ++i) {
            (ids[i], keys[i]) = register(100 + i);
        }
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
                made.members[seat] = ids[i];
                if (!stored[i]) made.newKeys = bytes.concat(made.newKeys, keys[i]);
                stored[i] = true;
            }
            registry.announce(made);
            for (uint256 seat = 0; seat < members; ++seat) {
                assertEq(registry.keyOf(epoch, uint16(seat)), keys[(from + seat) % 12]);
            }
        }
    }

    function test_rejects_absurd_periods() public {
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 0, 1));
        new CommitteeRegistry(address(this), 0, 1);
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 1, 0));
        new CommitteeRegistry(address(this), 1, 0);
        vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.InvalidPeriods.selector, 3651 days, 1));
        new CommitteeRegistry(address(this), 3651 days, 1);
    }
}
