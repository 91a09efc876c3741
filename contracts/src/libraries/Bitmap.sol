// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

/// @title Bits of one word: seats of a committee
/// @notice Bit `i` is seat `i`. Everything is total: no input reverts.
library Bitmap {
    /// @notice The bits of seats 0 to `members - 1`.
    /// @param members 0 to 256; more count as 256.
    function full(uint256 members) internal pure returns (uint256) {
        unchecked {
            return members < 256 ? (uint256(1) << members) - 1 : type(uint256).max;
        }
    }

    /// @notice How many bits are set. Costs the same for every word, about 200 gas.
    function count(uint256 bits) internal pure returns (uint256) {
        return sumOfBytes(countsOfBytes(bits));
    }

    /// @notice The number of bits in each byte, in that byte.
    function countsOfBytes(uint256 bits) internal pure returns (uint256) {
        unchecked {
            // Sums of 1, 2, 4 bits side by side.
            bits -= (bits >> 1) & (type(uint256).max / 3);
            bits = (bits & (type(uint256).max / 5)) + ((bits >> 2) & (type(uint256).max / 5));
            return (bits + (bits >> 4)) & (type(uint256).max / 17);
        }
    }

    /// @notice The sum of all bytes.
    function sumOfBytes(uint256 counts) internal pure returns (uint256) {
        unchecked {
            // Two bytes into one lane of 16 bits, then the upper half of the lanes onto the lower: 32 * 255 has room in one.
            counts = (counts & (type(uint256).max / 257)) + ((counts >> 8) & (type(uint256).max / 257));
            counts += counts >> 16;
            counts += counts >> 32;
            counts += counts >> 64;
            counts += counts >> 128;
            return counts & 0xffff;
        }
    }

    /// @notice The lowest seat in `bits`, and the others. About 100 gas.
    /// @param bits Zero gives seat 0 and no others.
    function pop(uint256 bits) internal pure returns (uint256 seat, uint256 others) {
        unchecked {
            others = bits & (bits - 1);
            bits ^= others;
        }
        // slither-disable-next-line assembly (proved for every word in test/symbolic)
        assembly ("memory-safe") {
            // At most one bit is left. Halve the word three times, then look the bit up among 32: the product with a de
            // Bruijn sequence has other top five bits for each.
            seat := shl(7, lt(0xffffffffffffffffffffffffffffffff, bits))
            seat := or(seat, shl(6, lt(0xffffffffffffffff, shr(seat, bits))))
            seat := or(seat, shl(5, lt(0xffffffff, shr(seat, bits))))
            let top := and(shr(27, mul(shr(seat, bits), 0x07dcd629)), 31)
            seat := or(seat, byte(top, 0x000117021d180e031e1b1912140f0a041f161c0d1a111309150c10080b070605))
        }
    }
}
