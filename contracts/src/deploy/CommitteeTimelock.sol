// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { TimelockController } from "@openzeppelin/contracts/governance/TimelockController.sol";

/// @title CommitteeTimelock
/// @notice The owner of a registry: OpenZeppelin's timelock, under a name of ours so that its bytes are among the artifacts.
contract CommitteeTimelock is TimelockController {
    /// @param delaySeconds Least time between scheduling a call and making it.
    /// @param proposers Who schedules and cancels; usually one multisig.
    /// @param executors Who makes a call once its time has come; the zero address lets anybody.
    constructor(uint256 delaySeconds, address[] memory proposers, address[] memory executors)
        TimelockController(delaySeconds, proposers, executors, address(0))
    { }
}
