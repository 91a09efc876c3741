// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { Bitmap } from "../../src/libraries/Bitmap.sol";

/// @notice For halmos: every bitmap, not some.
contract SymbolicBitmap {
    /// The lowest bit is found and taken away.
    function check_pop_takes_the_lowest_bit(uint256 bits) public pure {
        (uint256 seat, uint256 others) = Bitmap.pop(bits);
        if (bits == 0) {
            assert(seat == 0 && others == 0);
            return;
        }
        assert(seat < 256);
        assert(others == bits ^ (1 << seat));
        assert((bits >> seat) & 1 == 1);
        assert(bits & ((1 << seat) - 1) == 0);
    }

    /// Each byte holds the number of its bits. With {check_sums_each_byte} `count` is the number of
    /// bits of any word.
    function check_counts_each_byte(uint256 bits) public pure {
        uint256 counts = Bitmap.countsOfBytes(bits);
        // Without branches: one path for all.
        uint256 wrong;
        unchecked {
            for (uint256 i = 0; i < 256; i += 8) {
                uint256 octet = bits >> i;
                uint256 pairs = (octet & 1) + ((octet >> 1) & 1) + ((octet >> 2) & 1) + ((octet >> 3) & 1);
                pairs += ((octet >> 4) & 1) + ((octet >> 5) & 1) + ((octet >> 6) & 1) + ((octet >> 7) & 1);
                wrong |= ((counts >> i) & 0xff) ^ pairs;
            }
        }
        assert(wrong == 0);
    }

    /// Each byte alone is its own sum, and the full word's sum has room. That the others do not disturb it is arithmetic, since
    /// 32 * 255 is below 2^16 (solvers give up on sums of 32 terms in two orders); fuzzing compares whole words.
    function check_sums_each_byte(uint8 value) public pure {
        uint256 wrong;
        unchecked {
            for (uint256 i = 0; i < 256; i += 8) {
                wrong |= Bitmap.sumOfBytes(uint256(value) << i) ^ value;
            }
        }
        assert(wrong == 0);
        assert(Bitmap.sumOfBytes(type(uint256).max) == 32 * 255);
    }

    /// `signers > full` is the same as a bit past the members.
    function check_full_bounds_the_seats(uint256 signers, uint16 members) public pure {
        if (members == 0 || members > 256) return;
        uint256 all = Bitmap.full(members);
        bool past = members < 256 && signers >> members != 0;
        assert((signers > all) == past);
        if (!past) assert((all ^ signers) & signers == 0 && (all ^ signers) | signers == all);
    }
}
