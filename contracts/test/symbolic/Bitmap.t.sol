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

    /// With {check_pop_takes_the_lowest_bit} this makes `count` the number of bits, by induction.
    function check_one_bit_less_counts_one_less(uint256 bits) public pure {
        if (bits == 0) {
            assert(Bitmap.count(bits) == 0);
            return;
        }
        assert(Bitmap.count(bits) == Bitmap.count(bits & (bits - 1)) + 1);
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
