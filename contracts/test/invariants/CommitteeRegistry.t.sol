// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { ICommitteeRegistry } from "../../src/interfaces/ICommitteeRegistry.sol";
import { EpochRecord } from "../../src/libraries/EpochSchedule.sol";
import { FuzzSelector, Test } from "../utils/Test.sol";
import { RegistryHandler } from "./RegistryHandler.sol";

/// What holds of a registry, whatever anybody did to it: see {RegistryHandler} for what is done.
/// forge-config: default.invariant.runs = 12
/// forge-config: nightly.invariant.runs = 96
contract CommitteeRegistryInvariantsTest is Test {
    RegistryHandler private _handler;
    ICommitteeRegistry private _registry;

    function setUp() public {
        _handler = new RegistryHandler();
        _registry = _handler.lookedAt();
    }

    function targetContracts() public view returns (address[] memory targets) {
        targets = new address[](1);
        targets[0] = address(_handler);
    }

    /// Some come twice, as often as it takes to get somewhere.
    function targetSelectors() public view returns (FuzzSelector[] memory targets) {
        targets = new FuzzSelector[](1);
        targets[0].addr = address(_handler);
        bytes4[16] memory selectors = [
            RegistryHandler.register.selector,
            RegistryHandler.register.selector,
            RegistryHandler.register.selector,
            RegistryHandler.readdress.selector,
            RegistryHandler.retire.selector,
            RegistryHandler.storeKeys.selector,
            RegistryHandler.announce.selector,
            RegistryHandler.announce.selector,
            RegistryHandler.announce.selector,
            RegistryHandler.cancel.selector,
            RegistryHandler.handOver.selector,
            RegistryHandler.certify.selector,
            RegistryHandler.certify.selector,
            RegistryHandler.activate.selector,
            RegistryHandler.release.selector,
            RegistryHandler.wait_.selector
        ];
        targets[0].selectors = new bytes4[](16);
        for (uint256 i = 0; i < 16; ++i) {
            targets[0].selectors[i] = selectors[i];
        }
    }

    /// Hash, sum of keys, thresholds and seats of an epoch are for ever what was announced; a cancelled one is none. Its
    /// seats are different members.
    function invariant_an_announced_epoch_never_changes() public view {
        uint256 count = _handler.count();
        for (uint256 i = 0; i < count; ++i) {
            RegistryHandler.Announced memory epoch = _handler.announced(i);
            if (epoch.cancelled) {
                try _registry.committee(epoch.number) {
                    revert NotTrue("a cancelled epoch has no committee");
                } catch (bytes memory data) {
                    assertEq(data, abi.encodeWithSelector(ICommitteeRegistry.UnknownEpoch.selector, epoch.number));
                }
                continue;
            }
            (bytes32 committeeHash, uint16 n, uint16 k, uint16 q) = _registry.committee(epoch.number);
            assertEq(committeeHash, epoch.committeeHash);
            assertTrue(n == epoch.seats.length && k == epoch.k && q == epoch.q, "thresholds");
            assertEq(keccak256(_registry.aggregateKey(epoch.number)), epoch.aggregateHash);
        }
        // The keys of one epoch each time: they are many.
        if (count == 0 || _handler.announced(_handler.time() % count).cancelled) return;
        checkSeats(_handler.announced(_handler.time() % count));
    }

    function checkSeats(RegistryHandler.Announced memory epoch) private view {
        bytes32[] memory ids = new bytes32[](epoch.seats.length);
        for (uint256 seat = 0; seat < ids.length; ++seat) {
            ids[seat] = keccak256(_registry.keyOf(epoch.number, uint16(seat)));
            assertEq(ids[seat], _handler.inPool(epoch.seats[seat]).id);
            for (uint256 other = 0; other < seat; ++other) {
                assertTrue(ids[other] != ids[seat], "a member sits once");
            }
        }
    }

    /// Epochs begin one after the other, each announced its delay before, and end where the next begins; numbers rise,
    /// those of cancelled ones too.
    function invariant_epochs_begin_in_order_after_their_delay() public view {
        uint256 delay = _registry.announcementDelaySeconds();
        (uint256 begun, uint64 number, uint64 latest, uint64 current) = (0, 0, 0, 0);
        for (uint256 i = 0; i < _handler.count(); ++i) {
            RegistryHandler.Announced memory epoch = _handler.announced(i);
            assertTrue(epoch.number > number, "numbers rise");
            number = epoch.number;
            EpochRecord record = _registry.scheduleOf(number);
            if (epoch.cancelled) {
                assertEq(EpochRecord.unwrap(record), 0);
                continue;
            }
            assertEq(record.activatesAt(), epoch.activatesAt);
            assertTrue(record.activatesAt() >= epoch.announcedAt + delay, "the delay");
            assertTrue(record.activatesAt() > begun, "one after the other");
            assertEq(record.supersededAt(), _handler.endOf(i));
            (begun, latest) = (record.activatesAt(), number);
            if (begun <= _handler.time()) current = number;
        }
        (uint64 foundCurrent, uint64 foundLatest, uint64 foundNumbered) = _registry.epochs();
        assertTrue(foundCurrent == current && foundLatest == latest && foundNumbered == number, "the last ones");
    }

    /// A key is its first operator's; whoever retired stays retired, what is stored stays stored, and nothing else is.
    function invariant_a_key_never_changes_its_operator() public view {
        for (uint256 i = 0; i < _handler.POOL(); ++i) {
            RegistryHandler.Known memory known = _handler.inPool(i);
            (address operator, bool retired, bool stored) = _registry.member(known.id);
            assertTrue(operator == known.operator, "operator");
            assertTrue(retired == known.retired && stored == known.stored, "retired, stored");
        }
    }

    /// A certificate that was good once is good until it expires.
    function invariant_certificates_end_when_they_expire() public view {
        _handler.checkGiven();
    }

    /// The handler gets where the invariants look: a rotation, a cancellation, another owner, a release; and strangers do
    /// not.
    function test_the_handler_goes_through_a_rotation_and_a_release() public {
        for (uint256 i = 0; i < 8; ++i) {
            _handler.register(i, i, 1);
        }
        _handler.storeKeys(7, 0);
        _handler.announce(3, 2 << 8, 15, 9);
        assertEq(_handler.count(), 0);
        _handler.announce(3, 2 << 8, 15, 0);
        assertEq(_handler.count(), 1);
        _handler.activate(0);
        _handler.certify(0, 1, 0);
        assertEq(_handler.accepted(), 1);
        _handler.handOver(2, 0, 1);
        _handler.announce(5 + (2 << 8), 2 << 8, 15, 0);
        _handler.cancel(1, 0);
        _handler.announce(5 + (2 << 8), 2 << 8, 15, 0);
        _handler.activate(0);
        _handler.certify(0, 1, 0);
        _handler.certify(2, 1, 0);
        assertEq(_handler.accepted(), 3);
        checkAll();
        _handler.release(0, 1);
        _handler.certify(0, 1, 3);
        assertEq(_handler.accepted(), 3);
        _handler.release(0, 0);
        _handler.certify(0, 1, 0);
        assertEq(_handler.accepted(), 3);
        checkAll();
        assertEq(_handler.count(), 3);
        assertTrue(_handler.announced(1).cancelled && !_handler.announced(2).cancelled, "one was cancelled");
    }

    function checkAll() private view {
        invariant_an_announced_epoch_never_changes();
        invariant_epochs_begin_in_order_after_their_delay();
        invariant_a_key_never_changes_its_operator();
        invariant_certificates_end_when_they_expire();
    }

    /// Each committee in full, at the end of each run.
    function afterInvariant() public view {
        for (uint256 i = 0; i < _handler.count(); ++i) {
            if (!_handler.announced(i).cancelled) checkSeats(_handler.announced(i));
        }
    }
}
