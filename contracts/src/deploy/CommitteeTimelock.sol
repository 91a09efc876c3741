// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title CommitteeTimelock
/// @notice The owner of a registry: OpenZeppelin's timelock with a least delay that nothing brings below a minute, not even the
/// timelock itself. Real deployments take days; the registry's announcement delay comes on top.
contract CommitteeTimelock is TimelockController {
    /// @notice A timelock without a delay is none.
    error DelayTooShort(uint256 delaySeconds, uint256 delaySecondsMin);

    /// @notice The least delay that can be set.
    uint256 public constant DELAY_SECONDS_MIN = 1 minutes;

    /// @param delaySeconds Least time between scheduling a call and making it.
    /// @param proposers Who schedules and cancels; usually one multisig.
    /// @param executors Who makes a call once its time has come; the zero address lets anybody.
    constructor(uint256 delaySeconds, address[] memory proposers, address[] memory executors)
        TimelockController(delaySeconds, proposers, executors, address(0))
    {
        if (delaySeconds < DELAY_SECONDS_MIN) revert DelayTooShort(delaySeconds, DELAY_SECONDS_MIN);
    }

    /// @inheritdoc TimelockController
    /// @dev A delay of zero set by {updateDelay} counts as the least one.
    function getMinDelay() public view override returns (uint256) {
        uint256 set = super.getMinDelay();
        return set < DELAY_SECONDS_MIN ? DELAY_SECONDS_MIN : set;
    }
}
