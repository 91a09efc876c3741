// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { Ownable, Ownable2Step } from "@openzeppelin/contracts/access/Ownable2Step.sol";

import { ICommitteeRegistry } from "../interfaces/ICommitteeRegistry.sol";

/// @title Rollups
/// @notice The part of {ICommitteeRegistry} about whom the committee serves, on which terms, and who submits.
abstract contract Rollups is ICommitteeRegistry, Ownable2Step {
    struct Rollup {
        address admin;
        /// Counts removals and changes of the admin: submitters of an earlier one are not those of a later one.
        uint64 generation;
        Quota quota;
    }

    uint256 private constant BATCH_BYTES_MAX = 64 << 20;

    /// @inheritdoc ICommitteeRegistry
    uint256 public immutable retentionSecondsMax;

    mapping(bytes32 rollupId => Rollup) private _rollups;
    mapping(bytes32 rollupId => mapping(uint64 generation => mapping(address => bool))) private _submitters;

    /// @param owner Who sets rollups.
    /// @param retentionSecondsMax_ Longest retention that a rollup may get.
    constructor(address owner, uint256 retentionSecondsMax_) Ownable(owner) {
        retentionSecondsMax = retentionSecondsMax_;
    }

    /// @inheritdoc ICommitteeRegistry
    function setRollup(bytes32 rollupId, address admin, Quota calldata quota) external onlyOwner {
        bool sized = quota.batchBytesMax != 0 && quota.batchBytesMax <= BATCH_BYTES_MAX && quota.bytesPerDay != 0;
        bool kept = quota.retentionSecondsMax != 0 && quota.retentionSecondsMax <= retentionSecondsMax;
        if (admin == address(0) || !sized || !kept) revert InvalidRollup(rollupId);
        Rollup storage found = _rollups[rollupId];
        if (found.admin != admin) (found.admin, found.generation) = (admin, found.generation + 1);
        found.quota = quota;
        emit RollupSet(rollupId, admin, quota);
    }

    /// @inheritdoc ICommitteeRegistry
    function removeRollup(bytes32 rollupId) external onlyOwner {
        if (_rollups[rollupId].admin == address(0)) revert UnknownRollup(rollupId);
        uint64 generation = _rollups[rollupId].generation + 1;
        delete _rollups[rollupId];
        _rollups[rollupId].generation = generation;
        emit RollupRemoved(rollupId);
    }

    /// @inheritdoc ICommitteeRegistry
    function setSubmitter(bytes32 rollupId, address submitter, bool allowed) external {
        Rollup storage found = _rollups[rollupId];
        if (found.admin != msg.sender) revert NotRollupAdmin(rollupId, msg.sender);
        if (submitter == address(0)) revert InvalidSubmitter(rollupId);
        _submitters[rollupId][found.generation][submitter] = allowed;
        emit SubmitterSet(rollupId, submitter, allowed);
    }

    /// @inheritdoc ICommitteeRegistry
    function rollup(bytes32 rollupId) external view returns (address admin, Quota memory quota) {
        return (_rollups[rollupId].admin, _rollups[rollupId].quota);
    }

    /// @inheritdoc ICommitteeRegistry
    function isSubmitter(bytes32 rollupId, address submitter) external view returns (bool) {
        Rollup storage found = _rollups[rollupId];
        return found.admin != address(0) && _submitters[rollupId][found.generation][submitter];
    }
}
