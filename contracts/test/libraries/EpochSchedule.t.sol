// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICommitteeRegistry } from "../../src/interfaces/ICommitteeRegistry.sol";
import { EpochRecord, EpochSchedule } from "../../src/libraries/EpochSchedule.sol";
import { Test } from "../utils/Test.sol";

/// @notice Does random things to a schedule and remembers what it did.
contract ScheduleHandler is Test {
    using EpochSchedule for EpochSchedule.Schedule;

    EpochSchedule.Schedule private _schedule;

    uint256 public constant DELAY = 7 days;
    uint64[] public announced;
    mapping(uint64 epoch => bool) public cancelled;

    constructor() {
        vm.warp(1_800_000_000);
    }

    function announce(uint8 gap, uint32 later) external {
        uint64 epoch = _schedule.numbered + 1 + gap;
        if (_schedule.records[_schedule.latest].activatesAt() > block.timestamp) return;
        _schedule.announce(epoch, address(uint160(epoch)), uint48(block.timestamp + DELAY + later % 90 days), DELAY);
        announced.push(epoch);
    }

    function cancel() external {
        uint64 pending = _schedule.latest;
        if (pending == 0 || _schedule.records[pending].activatesAt() <= block.timestamp) return;
        _schedule.cancel(pending);
        cancelled[pending] = true;
    }

    function wait_(uint32 secondsPassed) external {
        vm.warp(block.timestamp + secondsPassed % 60 days);
    }

    function count() external view returns (uint256) {
        return announced.length;
    }

    function current() external view returns (uint64) {
        return _schedule.current();
    }

    function latest() external view returns (uint64) {
        return _schedule.latest;
    }

    function record(uint64 epoch) external view returns (EpochRecord) {
        return _schedule.records[epoch];
    }
}

contract EpochScheduleTest is Test {
    using EpochSchedule for EpochSchedule.Schedule;

    ScheduleHandler private _handler;
    EpochSchedule.Schedule private _schedule;

    function setUp() public {
        _handler = new ScheduleHandler();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// Epochs that were not cancelled follow each other without gap or overlap, and at most the last one is pending.
    function invariant_epochs_follow_each_other() public view {
        uint64 before;
        for (uint256 i = 0; i < _handler.count(); ++i) {
            uint64 epoch = _handler.announced(i);
            EpochRecord found = _handler.record(epoch);
            if (_handler.cancelled(epoch)) {
                assertEq(EpochRecord.unwrap(found), 0);
                continue;
            }
            assertEq(uint160(found.blob()), epoch);
            if (before != 0) {
                assertEq(_handler.record(before).supersededAt(), found.activatesAt());
                assertTrue(_handler.record(before).activatesAt() < found.activatesAt(), "order");
                assertTrue(_handler.record(before).activatesAt() <= block.timestamp, "two pending");
            }
            before = epoch;
        }
        assertEq(_handler.latest(), before);
        if (before != 0) assertEq(_handler.record(before).supersededAt(), 0);
    }

    /// The current epoch has begun and not ended; there is none only before the first.
    function invariant_the_current_epoch_is_active() public view {
        uint64 current = _handler.current();
        EpochRecord found = _handler.record(current);
        if (current == 0) {
            EpochRecord latest = _handler.record(_handler.latest());
            assertTrue(_handler.latest() == 0 || latest.activatesAt() > block.timestamp, "none");
            return;
        }
        assertTrue(found.activatesAt() <= block.timestamp, "begun");
        assertTrue(found.supersededAt() == 0 || found.supersededAt() > block.timestamp, "not ended");
    }

    function testFuzz_a_record_gives_its_fields_back(address blob, uint48 from, uint48 to) public pure {
        EpochRecord record = EpochSchedule.pack(blob, from, to);
        assertEq(uint160(record.blob()), uint160(blob));
        assertEq(record.activatesAt(), from);
        assertEq(record.supersededAt(), to);
    }

    function check(EpochRecord record, uint256 retainUntil, uint256 retention) external view {
        record.check(1, retainUntil, retention);
    }

    /// What an epoch may vouch for, said in another way.
    function testFuzz_an_epoch_vouches_while_it_may(
        uint48 from,
        uint48 to,
        uint64 retainUntil,
        uint32 retention,
        uint48 now_
    ) public {
        vm.warp(now_);
        EpochRecord record = EpochSchedule.pack(address(1), from, to);
        bool may = from <= now_ && (to == 0 || retainUntil <= uint256(to) + retention);
        if (!may) vm.expectRevert();
        this.check(record, retainUntil, retention);
    }
}
