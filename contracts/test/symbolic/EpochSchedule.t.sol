// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { EpochRecord, EpochSchedule } from "../../src/libraries/EpochSchedule.sol";
import { Vm } from "../utils/Vm.sol";

/// @notice For halmos: every value of the types named here, which are not always the contracts' own, and at most two epochs.
contract SymbolicEpochSchedule {
    using EpochSchedule for EpochSchedule.Schedule;

    Vm private constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
    EpochSchedule.Schedule private _schedule;

    function check_a_record_gives_its_fields_back(address blob, uint48 from, uint48 to) public pure {
        EpochRecord record = EpochSchedule.pack(blob, from, to);
        assert(record.blob() == blob && record.activatesAt() == from && record.supersededAt() == to);
    }

    /// An announcement that is accepted, and its cancellation: nothing is left but the number.
    function check_cancel_undoes_announce(
        uint40 now_,
        uint64 first,
        uint48 firstAt,
        uint64 second,
        uint48 secondAt,
        uint32 delay
    ) public {
        vm.warp(now_);
        install(first, firstAt);
        try this.announce(second, secondAt, delay) { }
        catch {
            return;
        }
        // It was accepted: so it is later, and the first had begun.
        assert(second > first && secondAt >= uint256(now_) + delay);
        assert(first == 0 || firstAt <= now_);
        assert(_schedule.latest == second && _schedule.numbered == second);
        if (first != 0) assert(_schedule.records[first].supersededAt() == secondAt);
        try this.cancel(second) {
            assert(secondAt > now_);
        } catch {
            assert(secondAt <= now_);
            return;
        }
        assert(EpochRecord.unwrap(_schedule.records[second]) == 0);
        if (first != 0) {
            EpochRecord before = EpochSchedule.pack(address(1), firstAt, 0);
            assert(EpochRecord.unwrap(_schedule.records[first]) == EpochRecord.unwrap(before));
        }
        assert(_schedule.latest == first && _schedule.numbered == second);
    }

    /// The current epoch is the first until the second begins, and the second from then on, at every moment.
    function check_the_current_epoch_has_begun(
        uint40 now_,
        uint40 later,
        uint48 firstAt,
        uint48 secondAt,
        uint32 delay
    ) public {
        vm.warp(now_);
        install(1, firstAt);
        try this.announce(2, secondAt, delay) { }
        catch {
            return;
        }
        if (later < now_) return;
        vm.warp(later);
        assert(this.current() == (secondAt <= later ? 2 : 1));
        assert(_schedule.records[1].supersededAt() == _schedule.records[2].activatesAt());
    }

    /// What an epoch vouches for it vouches for later, too, though another epoch is announced meanwhile or not.
    function check_what_is_vouched_for_stays_so(
        uint40 now_,
        uint40 later,
        uint40 from,
        uint40 to,
        uint64 retainUntil,
        uint32 retention
    ) public {
        vm.warp(now_);
        try this.vouch(EpochSchedule.pack(address(1), from, 0), retainUntil, retention) { }
        catch {
            return;
        }
        assert(from <= now_ && retainUntil <= uint256(now_) + retention);
        // An epoch that is announced after this moment begins after it.
        if (later < now_ || to <= now_) return;
        vm.warp(later);
        this.vouch(EpochSchedule.pack(address(1), from, to), retainUntil, retention);
        this.vouch(EpochSchedule.pack(address(1), from, 0), retainUntil, retention);
    }

    /// From its end and the longest retention on an epoch vouches for nothing that has not expired.
    function check_a_released_epoch_vouches_for_nothing(
        uint32 from,
        uint32 to,
        uint32 retention,
        uint32 elapsed,
        uint32 left
    ) public {
        if (to == 0) return;
        uint256 now_ = uint256(to) + retention + elapsed;
        vm.warp(now_);
        try this.vouch(EpochSchedule.pack(address(1), from, to), now_ + 1 + left, retention) {
            assert(false);
        } catch { }
    }

    function install(uint64 first, uint48 firstAt) private {
        _schedule.latest = first;
        _schedule.numbered = first;
        if (first != 0) _schedule.records[first] = EpochSchedule.pack(address(1), firstAt, 0);
    }

    // Calls of their own, so that a refusal can be seen, and each reads the time anew.

    function announce(uint64 epoch, uint48 activation, uint256 delay) external {
        _schedule.announce(epoch, address(2), activation, delay);
    }

    function cancel(uint64 epoch) external {
        _schedule.cancel(epoch);
    }

    function current() external view returns (uint64) {
        return _schedule.current();
    }

    function vouch(EpochRecord record, uint256 retainUntil, uint256 retention) external view {
        record.check(1, retainUntil, retention);
    }
}
