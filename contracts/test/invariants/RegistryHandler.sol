// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity 0.8.37;

import { Ownable } from "@openzeppelin/contracts/access/Ownable.sol";

import { ICertificateVerifier } from "../../src/interfaces/ICertificateVerifier.sol";
import { ICommitteeRegistry } from "../../src/interfaces/ICommitteeRegistry.sol";
import { Bitmap } from "../../src/libraries/Bitmap.sol";
import { Committees } from "../utils/Committees.sol";
import { Signer } from "../utils/Signer.sol";

/// @notice Does random things to a registry as random people, and remembers what came of them.
///
/// It knows the rules in other words than the registry: each call is tried, and what it may not do must be refused, with its
/// error where there is only one; what it may do must be done. What it remembers is what the invariants compare with.
contract RegistryHandler is Committees {
    /// @notice Members that come and go, and people that call: whoever owns the registry is one of them.
    uint256 public constant POOL = 10;
    uint256 private constant PEOPLE = 4;
    uint256 private constant FIRST_SECRET = 1000;
    /// @dev Certificates that are remembered.
    uint256 private constant GIVEN_MAX = 6;

    struct Known {
        bytes32 id;
        bytes key;
        /// Who registered it; zero before.
        address operator;
        bool retired;
        bool stored;
    }

    struct Announced {
        uint64 number;
        bytes32 committeeHash;
        bytes32 aggregateHash;
        uint16 k;
        uint16 q;
        uint48 activatesAt;
        uint256 announcedAt;
        /// Members of the pool, in seat order.
        uint256[] seats;
        bool cancelled;
    }

    struct Given {
        bytes certificate;
        bytes32 batchId;
        uint256 retainUntil;
    }

    Known[POOL] private _pool;
    Announced[] private _announced;
    Given[] private _given;
    address private _owner;
    address private _nextOwner;
    uint64 private _numbered;
    /// @notice Certificates that were good, all in all.
    uint256 public accepted;

    constructor() {
        deploy();
        for (uint256 i = 0; i < POOL; ++i) {
            _pool[i].key = Signer.key(FIRST_SECRET + i);
            _pool[i].id = keccak256(_pool[i].key);
        }
        _owner = address(this);
        handOver(0, 0, 1);
    }

    // What is done at random

    /// Somebody registers a key of the pool: with the proof that is its own, or another one's.
    function register(uint256 pick, uint256 caller, uint256 copied) external {
        Known storage known = _pool[pick % POOL];
        address operator = person(caller);
        address provenFor = copied % 4 == 0 ? person(copied >> 8) : operator;
        bytes32 digest = registry.possessionDigest(provenFor, known.id);
        bytes memory proof = Signer.sign(FIRST_SECRET + pick % POOL, digest, Signer.POSSESSION_SUITE);
        bytes4 expected = provenFor == operator ? bytes4(0) : ICommitteeRegistry.FalseProofOfPossession.selector;
        if (known.operator != address(0)) expected = ICommitteeRegistry.KeyAlreadyRegistered.selector;
        bytes memory key = known.key;
        vm.prank(operator);
        try registry.register(key, proof, contact()) returns (bytes32 memberId) {
            assertEq(bytes32(expected), 0);
            assertEq(memberId, known.id);
            known.operator = operator;
        } catch (bytes memory data) {
            refusedFor(data, expected);
        }
    }

    /// Somebody moves a member: that is its operator's.
    function readdress(uint256 pick, uint256 caller) external {
        bytes4 expected = errorForCaller(pick % POOL, person(caller));
        bytes32 id = _pool[pick % POOL].id;
        vm.prank(person(caller));
        try registry.setContact(id, contact()) {
            assertEq(bytes32(expected), 0);
        } catch (bytes memory data) {
            refusedFor(data, expected);
        }
    }

    /// Somebody retires a member: its operator, once. Seldom, since it is for ever.
    function retire(uint256 pick, uint256 caller, uint256 seldom) external {
        if (seldom % 4 != 0) return;
        Known storage known = _pool[pick % POOL];
        bytes4 expected = errorForCaller(pick % POOL, person(caller));
        if (expected == 0 && known.retired) expected = ICommitteeRegistry.Retired.selector;
        bytes32 id = known.id;
        vm.prank(person(caller));
        try registry.retire(id) {
            assertEq(bytes32(expected), 0);
            known.retired = true;
        } catch (bytes memory data) {
            refusedFor(data, expected);
        }
    }

    /// Somebody stores a key ahead: the owner, once.
    function storeKeys(uint256 pick, uint256 caller) external {
        Known storage known = _pool[pick % POOL];
        address who = ownerOrAny(caller);
        bytes4 expected;
        if (known.stored) expected = ICommitteeRegistry.KeyAlreadyStored.selector;
        if (known.operator == address(0)) expected = ICommitteeRegistry.UnknownMember.selector;
        if (who != _owner) expected = Ownable.OwnableUnauthorizedAccount.selector;
        bytes memory key = known.key;
        vm.prank(who);
        try registry.storeKeys(key) {
            assertEq(bytes32(expected), 0);
            known.stored = true;
        } catch (bytes memory data) {
            refusedFor(data, expected);
        }
    }

    /// The owner, or somebody else, announces a committee: as it may be, or with one thing wrong.
    function announce(uint256 pick, uint256 terms, uint256 wrong, uint256 caller) external {
        ICommitteeRegistry.Announcement memory made;
        uint256[] memory seats = choose(pick, wrong % 16);
        fill(made, seats, terms, wrong % 16);
        address who = ownerOrAny(caller);
        bool may = who == _owner && isSound(made, seats);
        vm.prank(who);
        try registry.announce(made) {
            assertTrue(may, "announced what may not be");
            remember(made, seats);
        } catch (bytes memory data) {
            assertTrue(!may && data.length >= 4, "refused what may be announced");
            if (who != _owner) refusedFor(data, Ownable.OwnableUnauthorizedAccount.selector);
        }
    }

    /// The owner, or somebody else, takes an epoch back: the last one, while it has not begun.
    function cancel(uint256 pick, uint256 caller) external {
        if (_announced.length == 0) return;
        uint256 index = pick % 4 == 0 ? pick % _announced.length : _announced.length - 1;
        Announced storage epoch = _announced[index];
        address who = ownerOrAny(caller);
        bytes4 expected = ICommitteeRegistry.EpochNotPending.selector;
        if (isPending() && index == _announced.length - 1) expected = 0;
        if (who != _owner) expected = Ownable.OwnableUnauthorizedAccount.selector;
        uint64 number = epoch.number;
        vm.prank(who);
        try registry.cancel(number) {
            assertEq(bytes32(expected), 0);
            epoch.cancelled = true;
        } catch (bytes memory data) {
            refusedFor(data, expected);
        }
    }

    /// The owner names the next one, who takes it, while others try both; nobody gives it up.
    function handOver(uint256 to, uint256 caller, uint256 accepts) public {
        address named = person(to);
        address who = ownerOrAny(caller);
        vm.prank(who);
        try registry.transferOwnership(named) {
            assertTrue(who == _owner, "given away by another");
            _nextOwner = named;
        } catch (bytes memory data) {
            assertTrue(who != _owner, "the owner may");
            refusedFor(data, Ownable.OwnableUnauthorizedAccount.selector);
        }
        // Nobody sends from the zero address, which is the next owner while there is none.
        address taker = accepts % 2 == 0 || _nextOwner == address(0) ? person(accepts >> 1) : _nextOwner;
        vm.prank(taker);
        try registry.acceptOwnership() {
            assertTrue(taker == _nextOwner, "taken by another");
            (_owner, _nextOwner) = (taker, address(0));
        } catch (bytes memory data) {
            assertTrue(taker != _nextOwner, "the next owner may");
            refusedFor(data, Ownable.OwnableUnauthorizedAccount.selector);
        }
        vm.prank(_owner);
        try registry.renounceOwnership() {
            revert NotTrue("given up");
        } catch (bytes memory data) {
            refusedFor(data, ICommitteeRegistry.OwnerRequired.selector);
        }
    }

    /// A quorum signs, or fewer, under any epoch there ever was, for a time that it may promise, or one second more.
    function certify(uint256 pick, uint256 signing, uint256 kept) external {
        if (_announced.length == 0) return;
        Announced storage epoch = _announced[pick % _announced.length];
        uint256 all = Bitmap.full(epoch.seats.length);
        uint256 signers = signing % 3 == 0 ? (signing >> 8) & all : all;
        uint256 latest = latestRetention(pick % _announced.length);
        uint256 retainUntil = kept % 3 == 0 ? latest + kept % 2 : block.timestamp + 1 + kept % (RETENTION + 2 days);
        uint256 secret;
        for (uint256 seat = 0; seat < epoch.seats.length; ++seat) {
            if ((signers >> seat) & 1 == 1) secret += FIRST_SECRET + epoch.seats[seat];
        }
        bytes memory certificate = certify(epoch.number, epoch.committeeHash, secret, signers, retainUntil);
        bool may = !epoch.cancelled && epoch.activatesAt <= block.timestamp && retainUntil > block.timestamp
            && retainUntil <= latest && signers != 0 && Bitmap.count(signers) >= epoch.q;
        try verifier.verify(ROLLUP, certificate) returns (bytes32 batchId) {
            assertTrue(may, "vouched for what it may not");
            Given memory given = Given(certificate, batchId, retainUntil);
            if (_given.length < GIVEN_MAX) _given.push(given);
            else _given[accepted % GIVEN_MAX] = given;
            ++accepted;
        } catch (bytes memory data) {
            assertTrue(!may && data.length >= 4, "refused what a quorum signed");
        }
    }

    /// Time passes.
    function wait_(uint32 secondsPassed) external {
        vm.warp(block.timestamp + secondsPassed % 20 days);
    }

    /// The pending epoch begins, or is a second away.
    function activate(uint256 early) external {
        if (isPending()) vm.warp(_announced[_announced.length - 1].activatesAt - early % 2);
    }

    /// An epoch that has ended is released, or is a second away from it.
    function release(uint256 pick, uint256 early) external {
        if (_announced.length == 0) return;
        uint256 end = endOf(pick % _announced.length);
        if (end == 0 || end + RETENTION - 1 < block.timestamp) return;
        vm.warp(end + RETENTION - early % 2);
    }

    // What is so

    /// @notice Epochs ever announced.
    function count() external view returns (uint256) {
        return _announced.length;
    }

    /// @notice What was announced.
    function announced(uint256 index) external view returns (Announced memory) {
        return _announced[index];
    }

    /// @notice What is known of a member of the pool.
    function inPool(uint256 index) external view returns (Known memory) {
        return _pool[index];
    }

    /// @notice The time now: a caller whose own reading comes before a warp asks here.
    function time() external view returns (uint256) {
        return block.timestamp;
    }

    /// @notice The first second of the next epoch that was not cancelled; zero while there is none.
    function endOf(uint256 index) public view returns (uint256) {
        if (_announced[index].cancelled) return 0;
        for (++index; index < _announced.length; ++index) {
            if (!_announced[index].cancelled) return _announced[index].activatesAt;
        }
        return 0;
    }

    /// @notice Checks all certificates that were good: they are until they expire, and nothing voids them.
    function checkGiven() external view {
        for (uint256 i = 0; i < _given.length; ++i) {
            try verifier.verify(ROLLUP, _given[i].certificate) returns (bytes32 batchId) {
                assertTrue(block.timestamp < _given[i].retainUntil, "good after its end");
                assertEq(batchId, _given[i].batchId);
            } catch (bytes memory data) {
                assertTrue(block.timestamp >= _given[i].retainUntil, "void before its end");
                refusedFor(data, ICertificateVerifier.CertificateExpired.selector);
            }
        }
    }

    /// @notice Whether the epoch announced last has not begun.
    function isPending() public view returns (bool) {
        if (_announced.length == 0) return false;
        Announced storage last = _announced[_announced.length - 1];
        return !last.cancelled && last.activatesAt > block.timestamp;
    }

    // What it is made of

    /// @dev The longest that an epoch may vouch for now.
    function latestRetention(uint256 index) private view returns (uint256) {
        uint256 end = endOf(index);
        return (end != 0 && end <= block.timestamp ? end : block.timestamp) + RETENTION;
    }

    function person(uint256 pick) private pure returns (address) {
        return operatorOf(pick % PEOPLE);
    }

    /// @dev Mostly the owner: what others do is refused and leads nowhere.
    function ownerOrAny(uint256 pick) private view returns (address) {
        return pick % 8 == 1 ? person(pick >> 3) : _owner;
    }

    function errorForCaller(uint256 index, address caller) private view returns (bytes4) {
        address operator = _pool[index].operator;
        if (operator == address(0)) return ICommitteeRegistry.UnknownMember.selector;
        return operator == caller ? bytes4(0) : ICommitteeRegistry.NotOperator.selector;
    }

    function refusedFor(bytes memory data, bytes4 expected) private pure {
        assertTrue(expected != 0, "refused what may be");
        assertEq(bytes32(bytes4(data)), bytes32(expected));
    }

    /// @dev Up to six members of the pool. Those who may sit, unless something is to be wrong.
    function choose(uint256 pick, uint256 wrong) private view returns (uint256[] memory seats) {
        uint256 wanted = 1 + pick % 6;
        seats = new uint256[](wanted);
        uint256 found;
        for (uint256 i = 0; i < POOL && found < wanted; ++i) {
            // Three and the pool's size have no common factor: each comes once.
            uint256 candidate = ((pick >> 8) + 3 * i) % POOL;
            bool sits = _pool[candidate].operator != address(0) && !_pool[candidate].retired;
            if (sits || wrong == 1) seats[found++] = candidate;
        }
        assembly ("memory-safe") {
            mstore(seats, found)
        }
        if (wrong == 2 && found > 1) seats[found - 1] = seats[(pick >> 16) % (found - 1)];
    }

    function fill(ICommitteeRegistry.Announcement memory made, uint256[] memory seats, uint256 terms, uint256 wrong)
        private
        view
    {
        uint256 n = seats.length;
        made.epoch = uint64(_numbered + 1 + terms % 3);
        if (wrong == 3) made.epoch = uint64(_numbered - (terms % 2) * (_numbered / 2));
        if (wrong == 4) made.epoch = uint64(_numbered + (1 << 32) + terms % 2);
        made.quorum = uint16(1 + (terms >> 8) % (n == 0 ? 1 : n));
        made.minimumShards = uint16(1 + (terms >> 16) % made.quorum);
        if (wrong == 5) made.quorum = uint16(terms >> 8) % 9;
        if (wrong == 6) made.minimumShards = uint16(terms >> 16) % 9;
        made.activatesAt = uint48(block.timestamp + DELAY + (terms >> 32) % 30 days);
        if (wrong == 7) made.activatesAt = uint48(block.timestamp + DELAY - (terms >> 32) % 2);
        if (wrong == 8) made.activatesAt = uint48(block.timestamp + DELAY + 365 days + (terms >> 32) % 2);
        made.members = new bytes32[](n);
        for (uint256 seat = 0; seat < n; ++seat) {
            made.members[seat] = _pool[seats[seat]].id;
        }
        made.newKeys = keysOf(seats, true);
        if (wrong == 9) made.newKeys = bytes.concat(made.newKeys, _pool[terms % POOL].key);
        if (wrong == 10) made.newKeys = keysOf(seats, false);
    }

    /// @dev The keys of seats, one after the other: all, or those that are not stored yet.
    function keysOf(uint256[] memory seats, bool onlyNew) private view returns (bytes memory keys) {
        for (uint256 seat = 0; seat < seats.length; ++seat) {
            if (!onlyNew || !_pool[seats[seat]].stored) keys = bytes.concat(keys, _pool[seats[seat]].key);
        }
    }

    /// @dev Whether the owner may announce this now.
    function isSound(ICommitteeRegistry.Announcement memory made, uint256[] memory seats)
        private
        view
        returns (bool)
    {
        for (uint256 seat = 0; seat < seats.length; ++seat) {
            if (_pool[seats[seat]].operator == address(0) || _pool[seats[seat]].retired) return false;
            for (uint256 other = 0; other < seat; ++other) {
                if (seats[seat] == seats[other]) return false;
            }
        }
        (uint256 n, uint256 k, uint256 q) = (seats.length, made.minimumShards, made.quorum);
        bool counted = 1 <= k && k <= q && q <= n;
        bool numbered = made.epoch > _numbered && made.epoch - _numbered <= 1 << 32;
        bool timed = made.activatesAt >= block.timestamp + DELAY
            && made.activatesAt <= block.timestamp + DELAY + 365 days && !isPending();
        return counted && numbered && timed && keccak256(made.newKeys) == keccak256(keysOf(seats, true));
    }

    /// @dev Works out hash and sum anew: from the keys, and from the secrets.
    function remember(ICommitteeRegistry.Announcement memory made, uint256[] memory seats) private {
        uint256 secret;
        for (uint256 seat = 0; seat < seats.length; ++seat) {
            secret += FIRST_SECRET + seats[seat];
            _pool[seats[seat]].stored = true;
        }
        Announced storage epoch = _announced.push();
        bytes32 keysHash = keccak256(keysOf(seats, false));
        (epoch.number, epoch.k, epoch.q) = (made.epoch, made.minimumShards, made.quorum);
        epoch.committeeHash =
            keccak256(abi.encode(made.epoch, seats.length, made.minimumShards, made.quorum, keysHash));
        epoch.aggregateHash = keccak256(Signer.key(secret));
        (epoch.activatesAt, epoch.announcedAt) = (made.activatesAt, block.timestamp);
        epoch.seats = seats;
        _numbered = made.epoch;
    }

    /// @notice The registry, for those who look.
    function lookedAt() external view returns (ICommitteeRegistry) {
        return registry;
    }
}
