// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";
import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";

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
        _timelock = createTimelock(TIMELOCK, proposers, new address[](1));
        registry.transferOwnership(address(_timelock));
        run(abi.encodeCall(registry.acceptOwnership, ()));
    }

    function test_announces_after_both_delays() public {
        ICommitteeRegistry.Announcement memory made = announcement(1, 50, 4, 2, 3);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, address(this)));
        registry.announce(made);
        made.activatesAt = uint48(block.timestamp + TIMELOCK + DELAY);
        run(abi.encodeCall(registry.announce, (made)));
        vm.warp(made.activatesAt);
        verifier.verify(ROLLUP, certify(1, 50, 15));
    }

    /// Not even the timelock itself can do without a delay.
    function test_keeps_a_delay_whatever_it_is_set_to() public {
        vm.expectRevert(abi.encodeWithSelector(CommitteeTimelock.DelayTooShort.selector, 59, 60));
        createTimelock(59, new address[](0), new address[](0));
        bytes memory call = abi.encodeCall(_timelock.updateDelay, (0));
        _timelock.schedule(address(_timelock), 0, call, 0, 0, TIMELOCK);
        vm.warp(block.timestamp + TIMELOCK);
        _timelock.execute(address(_timelock), 0, call, 0, 0);
        assertEq(_timelock.getMinDelay(), 60);
        vm.expectRevert(abi.encodeWithSelector(TimelockController.TimelockInsufficientDelay.selector, 59, 60));
        _timelock.schedule(address(registry), 0, call, 0, 0, 59);
    }

    function createTimelock(uint256 delay, address[] memory proposers, address[] memory executors)
        private
        returns (CommitteeTimelock)
    {
        return CommitteeTimelock(payable(create("CommitteeTimelock", abi.encode(delay, proposers, executors))));
    }

    function run(bytes memory call) private {
        _timelock.schedule(address(registry), 0, call, 0, 0, TIMELOCK);
        bytes32 id = _timelock.hashOperation(address(registry), 0, call, 0, 0);
        bytes32 ready = bytes32(1 << uint8(TimelockController.OperationState.Ready));
        vm.expectRevert(
            abi.encodeWithSelector(TimelockController.TimelockUnexpectedOperationState.selector, id, ready)
        );
        _timelock.execute(address(registry), 0, call, 0, 0);
        vm.warp(block.timestamp + TIMELOCK);
        _timelock.execute(address(registry), 0, call, 0, 0);
    }
}
