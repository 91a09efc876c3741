// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { Bitmap } from "../../src/libraries/Bitmap.sol";
import { Test } from "../utils/Test.sol";

contract BitmapTest is Test {
    function testFuzz_counts_as_a_loop_does(uint256 bits) public pure {
        checkCount(bits);
        checkCount(bits & (bits >> 7));
        checkCount(~bits);
    }

    function test_counts_the_edges() public pure {
        checkCount(0);
        checkCount(type(uint256).max);
        checkCount(type(uint256).max - 1);
        for (uint256 seat = 0; seat < 256; ++seat) {
            checkCount(1 << seat);
            checkCount(Bitmap.full(seat));
        }
    }

    /// Seats come from below, each once, until none is left.
    function testFuzz_pops_every_seat_in_order(uint256 bits) public pure {
        uint256 left = bits;
        for (uint256 seat = 0; seat < 256; ++seat) {
            if ((bits >> seat) & 1 == 0) continue;
            uint256 found;
            (found, left) = Bitmap.pop(left);
            assertEq(found, seat);
        }
        assertEq(left, 0);
    }

    function test_pops_every_single_seat() public pure {
        for (uint256 seat = 0; seat < 256; ++seat) {
            (uint256 found, uint256 others) = Bitmap.pop(1 << seat);
            assertEq(found, seat);
            assertEq(others, 0);
        }
    }

    function test_full_has_the_seats_below() public pure {
        for (uint256 members = 0; members <= 256; ++members) {
            assertEq(Bitmap.count(Bitmap.full(members)), members);
            assertEq(members == 256 ? 0 : Bitmap.full(members) >> members, 0);
        }
        assertEq(Bitmap.full(257), type(uint256).max);
    }

    function checkCount(uint256 bits) private pure {
        uint256 expected;
        for (uint256 left = bits; left != 0; left >>= 1) {
            expected += left & 1;
        }
        assertEq(Bitmap.count(bits), expected);
    }
}
