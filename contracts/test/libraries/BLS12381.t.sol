// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { BLS12381, G1, G2 } from "../../src/libraries/BLS12381.sol";
import { Signer } from "../utils/Signer.sol";
import { Test } from "../utils/Test.sol";

contract BLS12381Test is Test {
    uint256 private constant ORDER = 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000001;

    function hash(bytes memory message, bytes memory suite) external view returns (bytes memory) {
        return Signer.hash(message, suite);
    }

    function test_hashes_as_RFC_9380_says() public view {
        string memory json = vm.readFile("test/vectors/rfc9380.json");
        bytes memory suite = vm.parseJsonBytes(json, ".hash_suite");
        uint256 count;
        for (; vm.keyExistsJson(json, path("hash", count, "")); ++count) {
            bytes memory message = vm.parseJsonBytes(json, path("hash", count, ".message"));
            assertEq(Signer.hash(message, suite), vm.parseJsonBytes(json, path("hash", count, ".point")));
        }
        assertEq(count, 5);
    }

    function test_expands_as_RFC_9380_says() public view {
        string memory json = vm.readFile("test/vectors/rfc9380.json");
        bytes memory suite = vm.parseJsonBytes(json, ".expand_suite");
        uint256 count;
        for (; vm.keyExistsJson(json, path("expand", count, "")); ++count) {
            bytes memory message = vm.parseJsonBytes(json, path("expand", count, ".message"));
            bytes memory uniform = vm.parseJsonBytes(json, path("expand", count, ".uniform"));
            assertEq(BLS12381.expandMessage(message, suite), uniform);
        }
        assertEq(count, 5);
    }

    /// A word hashed in scratch space is the same message, whatever lies in free memory.
    function testFuzz_a_word_is_a_message(bytes32 word, bytes memory dirt) public view {
        (G1 hashed,, G1 other) = BLS12381.newEquation();
        assembly ("memory-safe") {
            mcopy(mload(0x40), add(dirt, 32), mload(dirt))
        }
        BLS12381.hashWordToG1(word, Signer.SIGNATURE_SUITE, hashed);
        BLS12381.hashToG1(bytes.concat(word), Signer.SIGNATURE_SUITE, other);
        assertEq(read(hashed), read(other));
    }

    function test_rejects_a_suite_of_256_bytes() public {
        vm.expectRevert(abi.encodeWithSelector(BLS12381.SuiteTooLong.selector, 256));
        this.hash("", new bytes(256));
        this.hash("", new bytes(255));
    }

    function testFuzz_a_signature_signs_its_digest_for_its_key(uint256 secret, bytes32 digest, bytes32 other)
        public
        view
    {
        secret = 1 + secret % (ORDER - 1);
        vm.assume(digest != other);
        bytes memory signature = Signer.sign(secret, digest, Signer.SIGNATURE_SUITE);
        (bool valid, bool holds) = check(signature, digest, Signer.key(secret));
        assertTrue(valid && holds, "own");
        (valid, holds) = check(signature, other, Signer.key(secret));
        assertTrue(valid && !holds, "another digest");
        (valid, holds) = check(signature, digest, Signer.key(1 + secret % (ORDER - 1)));
        assertTrue(valid && !holds, "another key");
    }

    function testFuzz_a_point_and_its_negation_cancel(uint256 secret) public view {
        bytes memory key = Signer.key(1 + secret % (ORDER - 1));
        (G2 sum, G2 next) = BLS12381.newSum();
        write(key, G2.unwrap(sum));
        write(key, G2.unwrap(next));
        BLS12381.negate(next);
        assertTrue(!BLS12381.isInfinity(next), "not infinity");
        BLS12381.addNext(sum, sum);
        assertTrue(BLS12381.isInfinity(sum), "infinity");
    }

    function test_infinity_negates_to_itself() public pure {
        (G2 sum,) = BLS12381.newSum();
        BLS12381.negate(sum);
        assertTrue(BLS12381.isInfinity(sum), "infinity");
    }

    /// Every byte of a point counts for what is infinity.
    function testFuzz_one_byte_makes_a_point_of_infinity(uint256 index, uint8 value) public pure {
        vm.assume(value != 0);
        (G1 g1, G2 g2,) = BLS12381.newEquation();
        bytes memory zeros = new bytes(256);
        write(zeros, G2.unwrap(g2));
        assertTrue(BLS12381.isInfinity(g2), "G2");
        zeros[index % 256] = bytes1(value);
        write(zeros, G2.unwrap(g2));
        assertTrue(!BLS12381.isInfinity(g2), "not G2");
        bytes memory shorter = new bytes(128);
        write(shorter, G1.unwrap(g1));
        assertTrue(BLS12381.isInfinity(g1), "G1");
        shorter[index % 128] = bytes1(value);
        write(shorter, G1.unwrap(g1));
        assertTrue(!BLS12381.isInfinity(g1), "not G1");
    }

    function check(bytes memory signature, bytes32 digest, bytes memory key) private view returns (bool, bool) {
        (G1 hashed, G2 negated, G1 signed) = BLS12381.newEquation();
        write(signature, G1.unwrap(signed));
        write(key, G2.unwrap(negated));
        BLS12381.negate(negated);
        BLS12381.hashWordToG1(digest, Signer.SIGNATURE_SUITE, hashed);
        return BLS12381.check(hashed);
    }

    function write(bytes memory point, uint256 where) private pure {
        assembly ("memory-safe") {
            mcopy(where, add(point, 32), mload(point))
        }
    }

    function read(G1 point) private pure returns (bytes memory found) {
        found = new bytes(128);
        assembly ("memory-safe") {
            mcopy(add(found, 32), point, 128)
        }
    }
}
