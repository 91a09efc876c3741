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

    /// Each byte holds the number of its bits. With {check_sums_all_bytes}, which takes such bytes, `count` is the number of
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

    /// The bytes of `counts` are at most 8 each. Summed in pairs, as the solver finds it easiest to compare.
    function check_sums_all_bytes(uint256 counts) public pure {
        uint256[] memory lanes = new uint256[](32);
        uint256 tooLarge;
        unchecked {
            for (uint256 i = 0; i < 32; ++i) {
                lanes[i] = (counts >> (8 * i)) & 0xff;
                // 9 and more carry.
                tooLarge |= (lanes[i] + 247) >> 8;
            }
            if (tooLarge != 0) return;
            for (uint256 left = 16; left != 0; left /= 2) {
                for (uint256 i = 0; i < left; ++i) {
                    lanes[i] = lanes[2 * i] + lanes[2 * i + 1];
                }
            }
        }
        assert(Bitmap.sumOfBytes(counts) == lanes[0]);
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
