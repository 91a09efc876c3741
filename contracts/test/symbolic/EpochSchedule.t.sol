// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { EpochRecord, EpochSchedule } from "../../src/libraries/EpochSchedule.sol";

/// @notice For halmos: any times, any epochs.
contract SymbolicEpochSchedule {
    using EpochSchedule for EpochSchedule.Schedule;

    EpochSchedule.Schedule private _schedule;

    function check_a_record_gives_its_fields_back(address blob, uint48 from, uint48 to) public pure {
        EpochRecord record = EpochSchedule.pack(blob, from, to);
        assert(record.blob() == blob && record.activatesAt() == from && record.supersededAt() == to);
    }

    /// An announcement, its cancellation: nothing is left but the number.
    function check_cancel_undoes_announce(uint64 first, uint48 firstAt, uint64 second, uint48 secondAt, uint32 delay)
        public
    {
        _schedule.latest = first;
        _schedule.numbered = first;
        _schedule.records[first] = EpochSchedule.pack(address(1), firstAt, 0);
        if (first == 0 || second <= first || firstAt > block.timestamp) return;
        if (secondAt < block.timestamp + delay || secondAt <= block.timestamp) return;
        _schedule.announce(second, address(2), secondAt, delay);
        assert(_schedule.records[first].supersededAt() == secondAt);
        assert(_schedule.current() == first);
        _schedule.cancel(second);
        assert(EpochRecord.unwrap(_schedule.records[second]) == 0);
        assert(
            EpochRecord.unwrap(_schedule.records[first])
                == EpochRecord.unwrap(EpochSchedule.pack(address(1), firstAt, 0))
        );
        assert(_schedule.latest == first && _schedule.numbered == second);
    }

    /// An epoch is never current before its time, and the one before it is until then.
    function check_the_current_epoch_has_begun(uint48 firstAt, uint48 secondAt) public {
        if (firstAt > block.timestamp || secondAt <= block.timestamp) return;
        _schedule.latest = 1;
        _schedule.numbered = 1;
        _schedule.records[1] = EpochSchedule.pack(address(1), firstAt, 0);
        _schedule.announce(2, address(2), secondAt, 0);
        assert(_schedule.current() == 1);
        assert(_schedule.records[1].supersededAt() == _schedule.records[2].activatesAt());
    }
}
