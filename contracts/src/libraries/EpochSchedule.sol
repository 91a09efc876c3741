// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICommitteeRegistry } from "../interfaces/ICommitteeRegistry.sol";

/// @notice One epoch in one word, so that the verifier reads it at once: where the committee is kept ({EpochBlob}) in
/// the lower 160 bits, then its first second and the first second of the next epoch, 48 bits each. The blob is zero for
/// an epoch that was never announced, or cancelled; the last field is zero while there is no next epoch.
type EpochRecord is uint256;

using EpochSchedule for EpochRecord global;

/// @title Which epoch is when
/// @notice Epochs follow each other: at most one is announced and not yet active, it has a delay before it, and the
/// one before it ends in the second in which it begins. Numbers rise and are never used twice, not even after a cancellation.
///
/// How long an epoch vouches: at no time for data kept longer than the longest retention from now, and once it has
/// ended, for data kept no longer than that from its end. The bound never falls, whatever is announced or cancelled, so a
/// certificate that was good stays good until it expires. From its end plus the longest retention on an epoch vouches for
/// nothing, and the keys of its members are worth nothing. Until then a quorum of them has the power it had: the
/// signatures carry no time, so what is signed after the end cannot be told from what was in flight.
library EpochSchedule {
    /// @notice Numbers are this close to each other: one that jumps further is a mistake that would use up all others.
    uint256 internal constant JUMP_MAX = 1 << 32;
    /// @notice An epoch begins at most this long after it may: a time further off is a mistake in units.
    uint256 internal constant LEAD_SECONDS_MAX = 365 days;

    /// @notice All epochs of a registry.
    struct Schedule {
        /// Highest number ever used.
        uint64 numbered;
        /// The epoch announced last, pending or active; zero before the first.
        uint64 latest;
        /// The one before `latest`; zero if there is none, or after a cancellation.
        uint64 previous;
        mapping(uint64 epoch => EpochRecord) records;
    }

    /// @notice Adds an epoch.
    /// @param delaySeconds Least time between now and its activation.
    function announce(Schedule storage self, uint64 epoch, address newBlob, uint48 activation, uint256 delaySeconds)
        internal
    {
        checkNext(self, epoch, activation, delaySeconds);
        uint64 latest = self.latest;
        EpochRecord before = self.records[latest];
        (self.numbered, self.latest, self.previous) = (epoch, epoch, latest);
        if (latest != 0) self.records[latest] = pack(before.blob(), before.activatesAt(), activation);
        self.records[epoch] = pack(newBlob, activation, 0);
    }

    /// @notice Checks that an epoch may be announced now.
    function checkNext(Schedule storage self, uint64 epoch, uint48 activation, uint256 delaySeconds) internal view {
        uint64 latest = self.latest;
        uint256 numbered = self.numbered;
        if (epoch <= numbered) revert ICommitteeRegistry.EpochNotAbove(epoch, numbered);
        if (epoch > numbered + JUMP_MAX) revert ICommitteeRegistry.EpochTooFar(epoch, numbered + JUMP_MAX);
        // slither-disable-next-line timestamp (epochs last days; a producer moves a block by seconds)
        if (self.records[latest].activatesAt() > block.timestamp) revert ICommitteeRegistry.EpochPending(latest);
        uint256 earliest = block.timestamp + delaySeconds;
        // slither-disable-next-line timestamp (the delay is days)
        if (activation < earliest) revert ICommitteeRegistry.ActivationTooEarly(activation, earliest);
        uint256 latestStart = earliest + LEAD_SECONDS_MAX;
        // slither-disable-next-line timestamp (the bound is a year)
        if (activation > latestStart) revert ICommitteeRegistry.ActivationTooLate(activation, latestStart);
    }

    /// @notice Takes back the epoch announced last, while it is not active.
    function cancel(Schedule storage self, uint64 epoch) internal {
        (uint64 latest, uint64 previous) = (self.latest, self.previous);
        // slither-disable-next-line timestamp (the owner that cancels late enough to race a block is late)
        if (epoch == 0 || epoch != latest || self.records[epoch].activatesAt() <= block.timestamp) {
            revert ICommitteeRegistry.EpochNotPending(epoch);
        }
        self.records[epoch] = EpochRecord.wrap(0);
        EpochRecord before = self.records[previous];
        if (previous != 0) self.records[previous] = pack(before.blob(), before.activatesAt(), 0);
        (self.latest, self.previous) = (previous, 0);
    }

    /// @notice The epoch that is active now; zero before the first.
    function current(Schedule storage self) internal view returns (uint64) {
        uint64 latest = self.latest;
        // slither-disable-next-line timestamp (an epoch begins by the time of the block, on purpose)
        return self.records[latest].activatesAt() <= block.timestamp ? latest : self.previous;
    }

    /// @notice Checks that an epoch may vouch for data kept until `retainUntil`, now.
    /// @param retentionSecondsMax Longest retention of any rollup.
    function check(EpochRecord self, uint256 epoch, uint256 retainUntil, uint256 retentionSecondsMax) internal view {
        if (self.blob() == address(0)) revert ICommitteeRegistry.UnknownEpoch(epoch);
        uint256 from = self.activatesAt();
        // slither-disable-next-line timestamp (an epoch begins by the time of the block, on purpose)
        if (block.timestamp < from) revert ICommitteeRegistry.EpochNotActive(epoch, from);
        uint256 to = self.supersededAt();
        // slither-disable-next-line timestamp (and ends by it)
        bool ended = to != 0 && to <= block.timestamp;
        unchecked {
            // All are far below 2^64.
            uint256 latestRetention = (ended ? to : block.timestamp) + retentionSecondsMax;
            // slither-disable-next-line timestamp (retention is days, and members leave room for seconds)
            if (retainUntil <= latestRetention) return;
            if (ended) revert ICommitteeRegistry.EpochSuperseded(epoch, retainUntil, latestRetention);
            revert ICommitteeRegistry.RetentionTooLong(retainUntil, latestRetention);
        }
    }

    /// @notice Where the committee is kept.
    function blob(EpochRecord self) internal pure returns (address) {
        return address(uint160(EpochRecord.unwrap(self)));
    }

    /// @notice First second of the epoch.
    function activatesAt(EpochRecord self) internal pure returns (uint48) {
        return uint48(EpochRecord.unwrap(self) >> 160);
    }

    /// @notice First second of the next epoch; zero while there is none.
    function supersededAt(EpochRecord self) internal pure returns (uint48) {
        return uint48(EpochRecord.unwrap(self) >> 208);
    }

    /// @notice A record of its three fields.
    function pack(address blob_, uint48 activatesAt_, uint48 supersededAt_) internal pure returns (EpochRecord) {
        return EpochRecord.wrap(uint160(blob_) | uint256(activatesAt_) << 160 | uint256(supersededAt_) << 208);
    }
}
