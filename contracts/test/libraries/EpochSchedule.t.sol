// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICommitteeRegistry } from "../../src/interfaces/ICommitteeRegistry.sol";
import { EpochRecord, EpochSchedule } from "../../src/libraries/EpochSchedule.sol";
import { FuzzSelector, Test } from "../utils/Test.sol";

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

    /// Any number and time, near what may be and far from it: what may not be is refused, with its error.
    function announce(uint64 number, uint48 activation, uint8 how) external {
        uint256 numbered = _schedule.numbered;
        if (how & 1 == 0) number = uint64(numbered + number % 4);
        if (how & 6 != 0) activation = uint48(block.timestamp + DELAY - 1 + activation % 90 days);
        bytes4 expected;
        if (number <= numbered) {
            expected = ICommitteeRegistry.EpochNotAbove.selector;
        } else if (number > numbered + (1 << 32)) {
            expected = ICommitteeRegistry.EpochTooFar.selector;
        } else if (isPending()) {
            expected = ICommitteeRegistry.EpochPending.selector;
        } else if (activation < block.timestamp + DELAY) {
            expected = ICommitteeRegistry.ActivationTooEarly.selector;
        } else if (activation > block.timestamp + DELAY + 365 days) {
            expected = ICommitteeRegistry.ActivationTooLate.selector;
        }
        try this.tryAnnounce(number, activation) {
            assertEq(bytes32(expected), 0);
            announced.push(number);
        } catch (bytes memory data) {
            assertTrue(expected != 0, "refused");
            assertEq(bytes32(bytes4(data)), bytes32(expected));
        }
    }

    /// Any epoch: only the pending one is cancelled.
    function cancel(uint64 epoch, bool latest_) external {
        if (latest_) epoch = _schedule.latest;
        bool may = isPending() && epoch == _schedule.latest;
        try this.tryCancel(epoch) {
            assertTrue(may, "cancelled");
            cancelled[epoch] = true;
        } catch (bytes memory data) {
            assertTrue(!may, "not cancelled");
            assertEq(data, abi.encodeWithSelector(ICommitteeRegistry.EpochNotPending.selector, epoch));
        }
    }

    function tryAnnounce(uint64 number, uint48 activation) external {
        _schedule.announce(number, address(uint160(number)), activation, DELAY);
    }

    function tryCancel(uint64 epoch) external {
        _schedule.cancel(epoch);
    }

    function isPending() private view returns (bool) {
        return _schedule.latest != 0 && _schedule.records[_schedule.latest].activatesAt() > block.timestamp;
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

    /// The others are steps of these.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_handler);
        targets[0].selectors = new bytes4[](3);
        targets[0].selectors[0] = ScheduleHandler.announce.selector;
        targets[0].selectors[1] = ScheduleHandler.cancel.selector;
        targets[0].selectors[2] = ScheduleHandler.wait_.selector;
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
        uint256 end = to == 0 || to > now_ ? now_ : to;
        if (from > now_) {
            vm.expectRevert(abi.encodeWithSelector(ICommitteeRegistry.EpochNotActive.selector, 1, from));
        } else if (retainUntil > end + retention) {
            vm.expectRevert(
                to != 0 && to <= now_
                    ? abi.encodeWithSelector(
                        ICommitteeRegistry.EpochSuperseded.selector, 1, retainUntil, end + retention
                    )
                    : abi.encodeWithSelector(
                        ICommitteeRegistry.RetentionTooLong.selector, retainUntil, end + retention
                    )
            );
        }
        this.check(record, retainUntil, retention);
    }

    /// What an epoch vouches for it vouches for at every later time, whatever is announced meanwhile.
    function testFuzz_what_is_vouched_for_stays_so(
        uint32 from,
        uint32 retention,
        uint64 retainUntil,
        uint32 now_,
        uint32 wait_,
        uint32 lead
    ) public {
        vm.assume(from <= now_);
        vm.warp(now_);
        retainUntil = uint64(uint256(retainUntil) % (uint256(now_) + retention + 1));
        this.check(EpochSchedule.pack(address(1), from, 0), retainUntil, retention);
        // An announcement is made now or later, and its epoch begins later still.
        uint48 to = uint48(uint256(now_) + 1 + lead);
        vm.warp(uint256(now_) + wait_);
        this.check(EpochSchedule.pack(address(1), from, to), retainUntil, retention);
        this.check(EpochSchedule.pack(address(1), from, 0), retainUntil, retention);
    }
}
