// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @notice Memory address of a G1 point of 128 bytes. Not a struct: memory for one would be zeroed each time one is named.
type G1 is uint256;

/// @notice Memory address of a G2 point of 256 bytes.
type G2 is uint256;

/// @title BLS12-381 signatures over the precompiles of EIP-2537
/// @notice min_sig: a signature is in G1, a key in G2. Hashing to G1 is `hash_to_curve` of RFC 9380, suite
/// BLS12381G1_XMD:SHA-256_SSWU_RO_, under any domain separation tag of at most 255 bytes.
///
/// Terms: a coordinate is 64 bytes here, 16 zero bytes and 48 big-endian ones, so two words; a G2 coordinate is `c0` then
/// `c1`. A point of all zero bytes is infinity. These are the encodings of EIP-2537.
///
/// What checks what: G1ADD, G2ADD check that coordinates are in range and points on the curve, not that they are
/// in the subgroup; the pairing checks the subgroup too. So a sum of keys is only as good as the pairing that let each of them in.
/// A precompile that fails burns the gas it was given. All gas is given, since forks change prices: whoever wants a
/// bound sets it on the call to the contract.
///
/// Source: EIP-2537; RFC 9380 sections 3, 5.2, 5.3.1, 8.8.1; EIP-198 (MODEXP). Tested against the vectors of RFC 9380,
/// appendix J.9.1, and against blst.
library BLS12381 {
    /// @notice A domain separation tag of more than 255 bytes.
    error SuiteTooLong(uint256 bytesFound);
    /// @notice A precompile refused its input: no point, or not in the subgroup where that is checked.
    error PrecompileRefused(uint256 precompile);

    uint256 private constant SHA256 = 0x02;
    uint256 private constant MODEXP = 0x05;
    uint256 private constant G1ADD = 0x0b;
    uint256 private constant G2ADD = 0x0d;
    uint256 private constant PAIRING = 0x0f;
    uint256 private constant MAP_FP_TO_G1 = 0x10;

    /// @dev The field modulus, upper 16 bytes and lower 32.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    /// @dev The generator of G2.
    uint256 private constant G2_X0_HIGH = 0x024aa2b2f08f0a91260805272dc51051;
    uint256 private constant G2_X0_LOW = 0xc6e47ad4fa403b02b4510b647ae3d1770bac0326a805bbefd48056c8c121bdb8;
    uint256 private constant G2_X1_HIGH = 0x13e02b6052719f607dacd3a088274f65;
    uint256 private constant G2_X1_LOW = 0x596bd0d09920b61ab5da61bbdc7f5049334cf11213945d57e5ac7d055d042b7e;
    uint256 private constant G2_Y0_HIGH = 0x0ce5d527727d6e118cc9cdc6da2e351a;
    uint256 private constant G2_Y0_LOW = 0xadfd9baa8cbdd3a76d429a695160d12c923ac9cc3baca289e193548608b82801;
    uint256 private constant G2_Y1_HIGH = 0x0606c4a02ea734cc32acd2b02bc28b99;
    uint256 private constant G2_Y1_LOW = 0xcb3e287e85a763af267492ab572e99ab3f370d275cec1da1aaa9075ff05f79be;

    /// @notice Memory for the points of `e(hashed, key) * e(signature, generator) == 1`, the last filled in. They lie one
    /// after the other, as the pairing reads them, so nothing is copied.
    /// @return hashed To be filled by {hashToG1}; says where the equation is.
    /// @return key To be filled. Either `hashed` or `key` is to be negated, whichever is cheaper.
    /// @return signature To be filled.
    function newEquation() internal pure returns (G1 hashed, G2 key, G1 signature) {
        // slither-disable-next-line assembly (memory laid out as the pairing precompile reads it)
        assembly ("memory-safe") {
            hashed := mload(0x40)
            mstore(0x40, add(hashed, 768))
            key := add(hashed, 128)
            signature := add(hashed, 384)
            mstore(add(hashed, 512), G2_X0_HIGH)
            mstore(add(hashed, 544), G2_X0_LOW)
            mstore(add(hashed, 576), G2_X1_HIGH)
            mstore(add(hashed, 608), G2_X1_LOW)
            mstore(add(hashed, 640), G2_Y0_HIGH)
            mstore(add(hashed, 672), G2_Y0_LOW)
            mstore(add(hashed, 704), G2_Y1_HIGH)
            mstore(add(hashed, 736), G2_Y1_LOW)
        }
    }

    /// @notice Whether the equation at `hashed` holds: whether the signature signs for the key the message hashed. One
    /// product of two pairings, 102,900 gas.
    /// @dev Infinity is for the caller to refuse: with an infinite key and signature the product is 1.
    /// @param hashed As {newEquation} gave it, with all points filled in.
    /// @return valid Both points are in their subgroups; otherwise there is no answer and `holds` is false.
    /// @return holds The equation holds.
    function check(G1 hashed) internal view returns (bool valid, bool holds) {
        // slither-disable-next-line assembly (a precompile: only so is its success told from its size)
        assembly ("memory-safe") {
            // The result is read in a statement after the call: Yul evaluates arguments from right to left.
            valid := staticcall(gas(), PAIRING, hashed, 768, 0x00, 32)
            valid := and(valid, eq(returndatasize(), 32))
            holds := and(valid, eq(mload(0x00), 1))
        }
    }

    /// @notice `hash_to_curve`: two field elements, each mapped to the curve, and their sum. About 13,000 gas.
    /// @param suite The domain separation tag, at most 255 bytes.
    /// @param point Where the result goes.
    function hashToG1(bytes memory message, bytes memory suite, G1 point) internal view {
        uint256 uniform = _expandMessage(message, suite);
        bool done;
        // slither-disable-next-line assembly (precompiles, each fed where the one before wrote)
        assembly ("memory-safe") {
            // MODEXP(base of 64 bytes, exponent 1, modulus of 64 bytes): the base reduced, already padded.
            let input := add(uniform, 128)
            mstore(input, 64)
            mstore(add(input, 32), 1)
            mstore(add(input, 64), 64)
            mcopy(add(input, 96), uniform, 64)
            mstore(add(input, 160), shl(248, 1))
            mstore(add(input, 161), P_HIGH)
            mstore(add(input, 193), P_LOW)
            let points := add(input, 256)
            done := staticcall(gas(), MODEXP, input, 225, 0x00, 64)
            done := and(done, eq(returndatasize(), 64))
            done := and(staticcall(gas(), MAP_FP_TO_G1, 0x00, 64, points, 128), done)
            done := and(done, eq(returndatasize(), 128))
            mcopy(add(input, 96), add(uniform, 64), 64)
            done := and(staticcall(gas(), MODEXP, input, 225, 0x00, 64), done)
            done := and(done, eq(returndatasize(), 64))
            done := and(staticcall(gas(), MAP_FP_TO_G1, 0x00, 64, add(points, 128), 128), done)
            done := and(done, eq(returndatasize(), 128))
            done := and(staticcall(gas(), G1ADD, points, 256, point, 128), done)
            done := and(done, eq(returndatasize(), 128))
        }
        if (!done) revert PrecompileRefused(MAP_FP_TO_G1);
    }

    /// @notice {hashToG1} of a message of one word.
    function hashWordToG1(bytes32 message, bytes memory suite, G1 point) internal view {
        bytes memory scratch;
        // slither-disable-next-line assembly (scratch space as a byte string)
        assembly ("memory-safe") {
            // Scratch space as a byte string: it is read before anything writes there.
            scratch := 0x00
            mstore(0x00, 32)
            mstore(0x20, message)
        }
        hashToG1(scratch, suite, point);
    }

    /// @notice `expand_message_xmd` with SHA-256 to 128 bytes: five calls of the precompile.
    /// @param suite The domain separation tag, at most 255 bytes.
    function expandMessage(bytes memory message, bytes memory suite) internal view returns (bytes memory uniform) {
        uniform = new bytes(128);
        uint256 from = _expandMessage(message, suite);
        // slither-disable-next-line assembly (a copy out of memory that is not allocated)
        assembly ("memory-safe") {
            mcopy(add(uniform, 32), from, 128)
        }
    }

    /// @dev As {expandMessage}; the result is in memory that is not allocated, and it is the caller's until it
    /// allocates. Memory up to 896 bytes past it is written to.
    function _expandMessage(bytes memory message, bytes memory suite) private view returns (uint256 uniform) {
        if (suite.length > 255) revert SuiteTooLong(suite.length);
        bool done;
        // slither-disable-next-line assembly (a precompile over overlapping inputs)
        assembly ("memory-safe") {
            // slither-disable-next-line assembly (one of the calls of that precompile)
            function link(input, inputBytes, index, mixed, to) -> hashed {
                mstore(input, mixed)
                mstore8(add(input, 32), index)
                hashed := staticcall(gas(), SHA256, input, inputBytes, to, 32)
                hashed := and(hashed, eq(returndatasize(), 32))
            }
            uniform := mload(0x40)
            let input := add(uniform, 128)
            let messageBytes := mload(message)
            let suiteBytes := mload(suite)
            // b_0 = H(64 zero bytes || message || two bytes 128 || 0 || suite || its length). Memory may be dirty.
            mstore(input, 0)
            mstore(add(input, 32), 0)
            mcopy(add(input, 64), add(message, 32), messageBytes)
            let tail := add(add(input, 64), messageBytes)
            mstore(tail, shl(232, 0x008000))
            mcopy(add(tail, 3), add(suite, 32), suiteBytes)
            mstore8(add(add(tail, 3), suiteBytes), suiteBytes)
            done := staticcall(gas(), SHA256, input, add(messageBytes, add(suiteBytes, 68)), 0x00, 32)
            done := and(done, eq(returndatasize(), 32))
            // b_i = H((b_0 xor b_(i-1)) || i || suite || its length), with b_0 alone for the first.
            let first := mload(0x00)
            mcopy(add(input, 33), add(suite, 32), suiteBytes)
            mstore8(add(add(input, 33), suiteBytes), suiteBytes)
            let inputBytes := add(suiteBytes, 34)
            done := and(link(input, inputBytes, 1, first, uniform), done)
            done := and(link(input, inputBytes, 2, xor(first, mload(uniform)), add(uniform, 32)), done)
            done := and(link(input, inputBytes, 3, xor(first, mload(add(uniform, 32))), add(uniform, 64)), done)
            done := and(link(input, inputBytes, 4, xor(first, mload(add(uniform, 64))), add(uniform, 96)), done)
        }
        if (!done) revert PrecompileRefused(SHA256);
    }

    /// @notice Memory for a sum and the point to be added next, one after the other. Both are infinity.
    function newSum() internal pure returns (G2 sum, G2 next) {
        // slither-disable-next-line assembly (memory laid out as the addition precompile reads it)
        assembly ("memory-safe") {
            sum := mload(0x40)
            next := add(sum, 256)
            mstore(0x40, add(sum, 512))
            calldatacopy(sum, calldatasize(), 512)
        }
    }

    /// @notice Adds the point after `sum` to it and puts the result to `result`. About 750 gas.
    /// @dev Does not check the subgroup.
    /// @param sum As {newSum} gave it.
    /// @param result `sum` itself, or another.
    function addNext(G2 sum, G2 result) internal view {
        bool done;
        // slither-disable-next-line assembly (a precompile, in place)
        assembly ("memory-safe") {
            done := staticcall(gas(), G2ADD, sum, 512, result, 256)
            done := and(done, eq(returndatasize(), 256))
        }
        if (!done) revert PrecompileRefused(G2ADD);
    }

    /// @notice Copies a point.
    function copy(G2 from, G2 to) internal pure {
        // slither-disable-next-line assembly (MCOPY)
        assembly ("memory-safe") {
            mcopy(to, from, 256)
        }
    }

    /// @notice Negates `point` in place.
    /// @dev Its coordinates are below the modulus. Zero stays zero, so infinity stays infinity.
    function negate(G1 point) internal pure {
        _negateCoordinate(G1.unwrap(point) + 64);
    }

    /// @notice Negates `point` in place.
    /// @dev As for G1.
    function negate(G2 point) internal pure {
        _negateCoordinate(G2.unwrap(point) + 128);
        _negateCoordinate(G2.unwrap(point) + 192);
    }

    /// @dev `modulus - coordinate` over two words, and 0 for 0.
    function _negateCoordinate(uint256 position) private pure {
        // slither-disable-next-line assembly (a difference of two words each, in place)
        assembly ("memory-safe") {
            let high := mload(position)
            let low := mload(add(position, 32))
            if or(high, low) {
                mstore(position, sub(sub(P_HIGH, high), gt(low, P_LOW)))
                mstore(add(position, 32), sub(P_LOW, low))
            }
        }
    }

    /// @notice Whether `point` is infinity.
    function isInfinity(G1 point) internal pure returns (bool infinite) {
        // slither-disable-next-line assembly (words of a point in memory)
        assembly ("memory-safe") {
            let x := or(mload(point), mload(add(point, 32)))
            infinite := iszero(or(x, or(mload(add(point, 64)), mload(add(point, 96)))))
        }
    }

    /// @notice Whether `point` is infinity.
    function isInfinity(G2 point) internal pure returns (bool infinite) {
        // slither-disable-next-line assembly (words of a point in memory)
        assembly ("memory-safe") {
            let bits := or(mload(point), mload(add(point, 32)))
            for { let i := 64 } lt(i, 256) { i := add(i, 64) } {
                bits := or(bits, or(mload(add(point, i)), mload(add(add(point, 32), i))))
            }
            infinite := iszero(bits)
        }
    }

    /// @notice The 256 bytes of a point.
    function toBytes(G2 point) internal pure returns (bytes memory padded) {
        padded = new bytes(256);
        // slither-disable-next-line assembly (MCOPY)
        assembly ("memory-safe") {
            mcopy(add(padded, 32), point, 256)
        }
    }
}
