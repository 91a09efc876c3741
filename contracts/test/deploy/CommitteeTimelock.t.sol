// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { CommitteeTimelock } from "../../src/deploy/CommitteeTimelock.sol";
import { ICommitteeRegistry } from "../../src/interfaces/ICommitteeRegistry.sol";
import { Committees } from "../utils/Committees.sol";

/// @notice The registry behind its timelock, as it is deployed.
contract CommitteeTimelockTest is Committees {
    uint256 private constant TIMELOCK = 1 days;
    CommitteeTimelock private _timelock;

    function setUp() public {
        deploy();
        address[] memory proposers = new address[](1);
        proposers[0] = address(this);
        _timelock = new CommitteeTimelock(TIMELOCK, proposers, new address[](1));
        registry.transferOwnership(address(_timelock));
        run(abi.encodeCall(registry.acceptOwnership, ()));
    }

    function test_announces_after_both_delays() public {
        ICommitteeRegistry.Announcement memory made = announcement(1, 50, 4, 2, 3);
        vm.expectRevert();
        registry.announce(made);
        made.activatesAt = uint48(block.timestamp + TIMELOCK + DELAY);
        run(abi.encodeCall(registry.announce, (made)));
        vm.warp(made.activatesAt);
        verifier.verify(ROLLUP, certify(1, 50, 15));
    }

    function run(bytes memory call) private {
        _timelock.schedule(address(registry), 0, call, 0, 0, TIMELOCK);
        vm.expectRevert();
        _timelock.execute(address(registry), 0, call, 0, 0);
        vm.warp(block.timestamp + TIMELOCK);
        _timelock.execute(address(registry), 0, call, 0, 0);
    }
}
